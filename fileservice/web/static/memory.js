// Uploads that were begun and not ended, so that they can go on in another tab or on another day.

const KEY = 'fileservice.unfinished'

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {}
  } catch {
    return {} // storage is switched off, or somebody else wrote there
  }
}

function write(all) {
  try {
    localStorage.setItem(KEY, JSON.stringify(all))
  } catch {
    // Full or switched off: then an upload cannot go on after the tab is closed, and that is all.
  }
}

// What tells a file from others without reading it.
function fingerprint(file) {
  return `${file.size} ${file.lastModified} ${file.name}`
}

export function remember(file, url) {
  write({ ...read(), [fingerprint(file)]: { name: file.name, size: file.size, url } })
}

export function recall(file) {
  return read()[fingerprint(file)]?.url ?? null
}

export function forget(file) {
  forgetKey(fingerprint(file))
}

export function forgetKey(key) {
  const { [key]: _, ...others } = read()
  write(others)
}

// All of them, as [key, {name, size, url}].
export function remembered() {
  return Object.entries(read())
}

export function isOf(key, file) {
  return key === fingerprint(file)
}

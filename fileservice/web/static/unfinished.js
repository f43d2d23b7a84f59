// Uploads that have not ended, kept in localStorage so that another tab can resume them, today or
// later.

const KEY = 'fileservice.unfinished'

function load() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {}
  } catch {
    return {} // storage is disabled, or it has something else under the key
  }
}

function store(uploads) {
  try {
    localStorage.setItem(KEY, JSON.stringify(uploads))
  } catch {
    // Storage is full or disabled. Uploads then cannot be resumed after the tab is closed.
  }
}

// Return what distinguishes a file from others without reading it.
function fingerprint(file) {
  return `${file.size} ${file.lastModified} ${file.name}`
}

export function save(file, url) {
  store({ ...load(), [fingerprint(file)]: { name: file.name, size: file.size, url } })
}

// Return the URL of the unfinished upload of a file, null if there is none.
export function urlOf(file) {
  return load()[fingerprint(file)]?.url ?? null
}

export function remove(file) {
  removeKey(fingerprint(file))
}

export function removeKey(key) {
  const { [key]: _, ...others } = load()
  store(others)
}

// Return all of them, as [key, {name, size, url}].
export function entries() {
  return Object.entries(load())
}

// Return whether `key` is that of the upload of this file.
export function matches(key, file) {
  return key === fingerprint(file)
}

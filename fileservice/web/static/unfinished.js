// Uploads that have not ended, kept in localStorage so that another tab can resume them, today or
// later. Those of a link have a place of their own, named by its id: other pages cannot resume them.

const KEY = 'fileservice.unfinished'

// Return what distinguishes a file from others without reading it.
export function fingerprint(file) {
  return `${file.size} ${file.lastModified} ${file.name}`
}

export class UnfinishedUploads {
  constructor(link = '') {
    this.key = link ? `${KEY}.${link}` : KEY
  }

  // Return all of them, as [fingerprint, {name, size, url}]; `name` is that of the stored file.
  entries() {
    return Object.entries(this.#load())
  }

  save(file, name, url) {
    this.#store({ ...this.#load(), [fingerprint(file)]: { name, size: file.size, url } })
  }

  // Return the unfinished upload of a file, undefined if there is none.
  of(file) {
    return this.#load()[fingerprint(file)]
  }

  remove(file) {
    this.removeKey(fingerprint(file))
  }

  removeKey(key) {
    const { [key]: _, ...others } = this.#load()
    this.#store(others)
  }

  #load() {
    try {
      return JSON.parse(localStorage.getItem(this.key)) ?? {}
    } catch {
      return {} // storage is disabled, or it has something else under the key
    }
  }

  #store(uploads) {
    try {
      localStorage.setItem(this.key, JSON.stringify(uploads))
    } catch {
      // Storage is full or disabled. Uploads then cannot be resumed after the tab is closed.
    }
  }
}

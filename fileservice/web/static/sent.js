// What a guest has sent by a link, kept in sessionStorage until the tab is closed: guests may not list
// the files, and would see nothing of it after a reload.

const MAX_FILES = 200

export class SentFiles {
  // `link` is the id of the link.
  constructor(link) {
    this.key = `fileservice.sent.${link}`
  }

  // Return them as [{name, size}], the newest first.
  all() {
    try {
      return JSON.parse(sessionStorage.getItem(this.key)) ?? []
    } catch {
      return []
    }
  }

  add(name, size) {
    try {
      sessionStorage.setItem(this.key, JSON.stringify([{ name, size }, ...this.all()].slice(0, MAX_FILES)))
    } catch {
      // Storage is full or disabled.
    }
  }
}

// Deletion of files. The server deletes at once and for good, so it is asked some seconds after the
// user has: until then, that can be undone.
import { announce } from './announce.js'
import * as list from './list.js'
import * as messages from './messages.js'
import { signedOut } from './session.js'
import { sentence, t } from './text.js'

const SECONDS = 7 // in which a deletion can be undone
const deletions = new Set() // those that can be undone

export function start() {
  list.whenShown(hideRows)
  addEventListener('pagehide', () => {
    for (const deletion of deletions) deletion.commit()
  })
  document.addEventListener('keydown', (event) => {
    const isUndo = event.key === 'z' && (event.ctrlKey || event.metaKey) && !event.shiftKey
    if (!isUndo || !deletions.size || event.target.matches('input:not([type=checkbox]), textarea')) return
    event.preventDefault()
    const [last] = [...deletions].slice(-1)
    last.undo()
  })
}

// Delete the files of these rows.
export function remove(rows) {
  if (!rows.length) return
  const deletion = new Deletion(rows)
  deletions.add(deletion)
  const before = list.rows()
  const neighbour = before.slice(before.indexOf(rows.at(-1)) + 1).find((row) => !rows.includes(row)) ?? before.findLast((row) => !rows.includes(row))
  hideRows()
  list.focusOn(neighbour && `delete ${list.nameOf(neighbour)}`)
}

// Delete what is to be deleted now; returns when that has been done, so that its names are free.
export async function settle() {
  await Promise.all([...deletions].map((deletion) => deletion.commit()))
}

function hideRows() {
  const urls = new Set([...deletions].flatMap(({ files }) => files.map(({ url }) => url)))
  for (const row of list.rows()) {
    if (!urls.has(list.urlOf(row))) continue
    row.hidden = true
    for (const box of row.querySelectorAll(':checked')) box.click()
  }
}

// Show the rows of files that are not to be deleted any more.
function showRows() {
  for (const row of document.querySelectorAll('#files tr[hidden]')) row.hidden = false
  hideRows()
}

class Deletion {
  constructor(rows) {
    this.files = rows.map((row) => ({
      name: list.nameOf(row),
      url: list.urlOf(row),
      modified: new Date(row.querySelector('.modified time').dateTime),
    }))
    this.isUndone = false
    const [{ name }] = this.files
    const text = this.files.length === 1 ? t('deleting', { name }) : t('deleting-files', { count: this.files.length })
    this.hideMessage = messages.show(text, {
      seconds: SECONDS,
      action: { label: t('undo'), act: () => this.undo() },
      onHidden: () => this.commit(),
    })
  }

  undo() {
    this.isUndone = true
    deletions.delete(this)
    this.hideMessage()
    showRows()
    list.focusOn(`delete ${this.files[0].name}`)
    announce(t('kept'))
  }

  commit() {
    if (!this.isUndone && !this.committed) {
      this.committed = Promise.all(this.files.map(deleteFile)).then((results) => this.#report(results))
      this.hideMessage()
    }
    return this.committed
  }

  async #report(results) {
    deletions.delete(this)
    for (const [index, reason] of results.entries()) {
      if (reason) messages.show(t('not-deleted', { name: this.files[index].name, reason }), { kind: 'bad' })
    }
    const count = results.filter((reason) => !reason).length
    if (count) announce(count === 1 ? t('deleted', { name: this.files[results.indexOf(null)].name }) : t('deleted-files', { count }))
    if (count < results.length) showRows()
    await list.refresh()
  }
}

// Return why a file is not deleted, null if it is. The request also reaches the server if the page
// is closed.
async function deleteFile({ url, modified }) {
  try {
    const headers = { Accept: 'application/problem+json', 'If-Unmodified-Since': modified.toUTCString() }
    const response = await fetch(url, { method: 'DELETE', headers, keepalive: true })
    if (response.ok || response.status === 404) return null
    if (response.status === 401) signedOut()
    return response.status === 412 ? t('changed-meanwhile') : sentence((await response.json()).detail)
  } catch {
    return t('server-unreachable')
  }
}

// The uploads of the page: what the user chooses goes into the queue, and has a row there.
import { announce, announceError } from './announce.js'
import { t } from './text.js'
import * as messages from './messages.js'
import { Queue } from './queue.js'
import { Rows } from './rows.js'
import { SentFiles } from './sent.js'
import { Service } from './service.js'
import { onSignedIn, signedOut } from './session.js'
import * as sources from './sources.js'
import { Total } from './total.js'
import { terminate } from './tus.js'
import { fingerprint } from './unfinished.js'

const MAX_ANNOUNCED = 3 // uploads of which each is announced
const MAX_NAMED = 3 // files that a message names
const HIDDEN_FILES = /^(\.|thumbs\.db$|desktop\.ini$)/i // which systems put into folders

const form = document.getElementById('upload')
let uploads

// Start the form, which is only on the page if its reader may upload files; `stored()` is called when
// a file is stored, and `ready()` before one is sent.
export function start(stored, ready) {
  if (form) uploads = new Uploads(stored, ready)
}

class Uploads {
  constructor(stored, ready = () => {}) {
    this.stored = stored
    this.service = new Service(form, ready)
    this.section = document.getElementById('uploads')
    this.queue = new Queue(this.service, {
      onChange: (transfer) => this.#draw(transfer),
      onEnd: (transfer) => this.#end(transfer),
    })
    const input = (this.input = document.getElementById('file'))
    this.all = document.getElementById('total') // what is shown of all uploads, with their buttons
    this.actions = this.#actionsOfRows()
    this.rows = new Rows(document.getElementById('transfers'), document.getElementById('transfer'), input, this.actions)
    this.total = new Total(this.all, this.queue)
    input.multiple = true
    input.required = false
    const expiry = form.querySelector('.expiry')
    if (expiry) form.append(expiry) // what is chosen first comes first
    form.addEventListener('submit', (event) => event.preventDefault())
    const folders = document.getElementById('folder')
    document.getElementById('choose-folder').addEventListener('click', () => folders.click())
    addEventListener('beforeunload', (event) => {
      if (this.queue.active.length) event.preventDefault()
    })
    this.sent = this.service.isLink ? new SentFiles(form.dataset.link) : null
    for (const file of this.sent?.all() ?? []) this.rows.addSent(file)
    for (const [key, upload] of this.service.unfinished.entries()) this.rows.addUnfinished(key, upload)
    onSignedIn(() => this.queue.resumeAll({ onlySignedOut: true }))
    this.#listenToAll()
    this.#drawAll()
    sources.listen({ input, folders, prefix: this.service.prefix }, (files, { isFolder }) => this.#add(files, isFolder))
  }

  #actionsOfRows() {
    return {
      choose: () => this.input.click(),
      discard: (key, url) => {
        this.service.unfinished.removeKey(key)
        this.#removeRow(key)
        terminate(url, this.service.headers).catch(() => {}) // the upload then stays until it expires
      },
      pause: (transfer) => transfer.pause(),
      resume: (transfer) => {
        transfer.resume()
        this.queue.start()
      },
      retry: (transfer, options) => {
        this.queue.retry(transfer, options)
        this.total.add(transfer)
        this.queue.start()
      },
      cancel: (transfer) => {
        this.#dismiss(transfer)
        transfer.cancel()
        announce(t('upload-is-cancelled', { name: transfer.name }))
        this.queue.start()
      },
      dismiss: (transfer) => this.#dismiss(transfer),
    }
  }

  #listenToAll() {
    const buttons = {
      pause: () => this.queue.pauseAll(),
      resume: () => this.queue.resumeAll(),
      clear: () => this.queue.transfers.filter(({ state }) => state === 'done').forEach((transfer) => this.#dismiss(transfer)),
      rename: () => this.#taken().forEach((transfer) => transfer.choices.otherName && this.actions.retry(transfer, { name: transfer.choices.otherName })),
      skip: () => this.#taken().forEach((transfer) => this.#dismiss(transfer)),
      toggle: () => this.section.classList.toggle('collapsed'),
    }
    this.all.addEventListener('click', ({ target }) => {
      const button = target.closest('[data-do]')
      if (!button) return
      buttons[button.dataset.do]()
      this.#drawAll()
      // The button may have hidden itself: the focus stays with those for all uploads.
      if (!button.checkVisibility()) ([...this.all.querySelectorAll('[data-do]')].find((other) => other.checkVisibility()) ?? this.input).focus()
    })
  }

  #taken() {
    return this.queue.transfers.filter(({ state, choices }) => state === 'refused' && choices)
  }

  // Add files. Those of a folder that the service would refuse were not chosen one by one: they get a
  // message instead of rows.
  #add(files, isFolder) {
    const expires = form.elements.expires?.value ?? ''
    const leftOut = []
    let added = 0
    for (const file of files) {
      const name = this.service.nameOf(file)
      if (this.queue.has(file) || (isFolder && (HIDDEN_FILES.test(file.name) || this.service.reasonToRefuse(name, file.size)))) {
        leftOut.push(file.name)
        continue
      }
      added++
      this.rows.remove(fingerprint(file))
      const transfer = this.queue.add(file, expires)
      this.rows.add(transfer)
      this.total.add(transfer)
      if (transfer.state === 'refused') this.#announceRefusal(transfer)
    }
    this.#tellLeftOut(leftOut, added, isFolder)
    this.queue.start()
    this.#drawAll()
  }

  #tellLeftOut(names, added, isFolder) {
    if (isFolder && !names.length && !added) messages.show(t('left-out-empty'))
    if (!names.length) return
    const shown = names.slice(0, MAX_NAMED).join(', ')
    const more = names.length - MAX_NAMED
    const list = more > 0 ? t('left-out-more', { names: shown, count: more }) : shown
    messages.show(t(isFolder ? 'left-out-folder' : 'left-out-again', { count: names.length, names: list }))
  }

  #end(transfer) {
    if (transfer.isSignedOut) signedOut()
    if (!transfer.isActive) this.#announceEnd(transfer)
    if (transfer.state !== 'done') return
    this.sent?.add(transfer.name, transfer.file.size)
    this.stored()
  }

  // Of many uploads, each refusal is announced, and the end of all.
  #announceEnd({ name, state }) {
    const { batch } = this.total
    if (batch.length > MAX_ANNOUNCED) {
      if (!this.queue.active.length) announce(t('total-ended', { count: batch.filter((transfer) => transfer.state === 'done').length }))
    } else if (state === 'done') announce(t('upload-is-stored', { name }))
  }

  #announceRefusal({ name, reason }) {
    announceError(t('upload-was-refused', { name, reason }))
  }

  #dismiss(transfer) {
    this.queue.remove(transfer)
    this.#removeRow(transfer)
    this.total.update()
  }

  #removeRow(key) {
    this.rows.remove(key)
    this.#drawAll()
  }

  #draw(transfer) {
    const isNew = this.rows.stateOf(transfer) !== transfer.state
    if (isNew && transfer.state === 'refused') this.#announceRefusal(transfer)
    if (isNew && transfer.state === 'retrying') announce(t('upload-is-retrying', { name: transfer.name }))
    this.rows.draw(transfer)
    this.total.update()
    if (isNew) this.#drawAll()
  }

  // Show what concerns all uploads: whether there are any, and the buttons that are of use.
  #drawAll() {
    const { active, transfers } = this.queue
    const show = (name, isShown) => (this.section.querySelector(`[data-do=${name}]`).hidden = !isShown)
    this.section.hidden = !this.rows.count
    this.all.hidden = transfers.length < 2
    show('pause', active.some(({ state }) => state !== 'paused'))
    show('resume', active.length && active.every(({ state }) => state === 'paused'))
    for (const name of ['rename', 'skip']) show(name, this.#taken().length > 1)
    show('clear', transfers.filter(({ state }) => state === 'done').length > 1)
    const toggle = this.section.querySelector('[data-do=toggle]')
    const isCollapsed = this.section.classList.contains('collapsed')
    toggle.setAttribute('aria-expanded', !isCollapsed)
    toggle.textContent = t(isCollapsed ? 'total-show' : 'total-hide')
  }
}

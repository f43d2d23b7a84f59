// The rows of the uploads: what they say, and their buttons.
import { copy } from './clipboard.js'
import { button, element } from './elements.js'
import * as format from './format.js'
import { t } from './text.js'

const KEPT_ACTIONS = ['waiting', 'sending', 'retrying'] // states with the same buttons

export class Rows {
  // `actions` are what the buttons do: pause, resume, retry, cancel, dismiss and choose. When the row
  // with the focus is removed and there is no other, the focus moves to `field`.
  constructor(list, template, field, actions) {
    this.list = list
    this.template = template
    this.field = field
    this.actions = actions
    list.addEventListener('pointerleave', () => this.#sort())
    this.rows = new Map() // transfer, or key of an unfinished upload of an earlier visit → its row
  }

  get count() {
    return this.rows.size
  }

  stateOf(transfer) {
    return this.rows.get(transfer)?.dataset.state
  }

  // Add a row for a transfer, before those that are stored or were not finished earlier.
  add(transfer) {
    const row = this.#newRow(transfer, transfer.name)
    this.list.insertBefore(row, this.list.querySelector('[data-state=done], [data-state=unfinished]'))
    this.draw(transfer)
  }

  // Add a row for a file that was sent before the page was loaded.
  addSent({ name, size }) {
    const row = this.#newRow(name, name)
    row.dataset.state = 'done'
    row.querySelector('.details').textContent = t('upload-stored', { size: format.size(size) })
    this.list.append(row)
  }

  // Add a row for an unfinished upload, which is resumed when its file is chosen again.
  addUnfinished(key, { name, size, url }) {
    const row = this.#newRow(key, name)
    row.dataset.state = 'unfinished'
    row.querySelector('.details').textContent = t('upload-unfinished', { size: format.size(size) })
    this.#setButtons(row, name, [
      [t('upload-choose'), () => this.actions.choose()],
      [t('upload-discard'), () => this.actions.discard(key, url)],
    ])
    this.list.append(row)
  }

  remove(key) {
    const row = this.rows.get(key)
    if (!row) return
    const hadFocus = row.contains(document.activeElement)
    const neighbour = row.nextElementSibling ?? row.previousElementSibling
    row.remove()
    this.rows.delete(key)
    if (hadFocus) (neighbour?.querySelector('button') ?? this.field).focus()
  }

  draw(transfer) {
    const row = this.rows.get(transfer)
    if (!row) return
    const { state, file, sent, choices } = transfer
    row.querySelector('progress').value = file.size ? sent / file.size : 0
    setText(row.querySelector('.details'), details(transfer))
    const buttons = `${KEPT_ACTIONS.includes(state) ? 'running' : state} ${JSON.stringify(choices)}`
    const isNew = row.dataset.state !== state
    row.dataset.state = state
    if (row.buttons !== buttons) this.#setButtons(row, transfer.name, this.#buttonsFor(transfer))
    row.buttons = buttons
    if (isNew && state === 'waiting') this.#rename(row, transfer.name)
    if (isNew && state === 'done') this.#showStored(row, transfer)
  }

  #newRow(key, name) {
    const row = this.template.content.firstElementChild.cloneNode(true)
    this.rows.set(key, row)
    this.#rename(row, name)
    return row
  }

  #rename(row, name) {
    row.querySelector('bdi').textContent = name
    row.querySelector('progress').setAttribute('aria-label', name)
  }

  #buttonsFor(transfer) {
    const { pause, resume, retry, cancel, dismiss } = this.actions
    const { otherName, version } = transfer.choices ?? {}
    switch (transfer.state) {
      case 'paused':
        return [[t('upload-resume'), () => resume(transfer)], [t('upload-cancel'), () => cancel(transfer)]]
      case 'refused':
        if (transfer.choices) {
          return [
            ...(otherName ? [[t('upload-store-as', { name: otherName }), () => retry(transfer, { name: otherName })]] : []),
            ...(version ? [[t('upload-replace'), () => retry(transfer, { replaces: version })]] : []),
            [t('upload-skip'), () => dismiss(transfer)],
          ]
        }
        return [
          ...(transfer.canRetry ? [[t('upload-retry'), () => retry(transfer)]] : []),
          [t('upload-dismiss'), () => dismiss(transfer)],
        ]
      case 'done':
        return [
          ...(transfer.service.may.has('read') ? [[t('upload-copy-link'), () => copy(transfer.url, t('link'))]] : []),
          [t('upload-dismiss'), () => dismiss(transfer)],
        ]
      default:
        return [[t('upload-pause'), () => pause(transfer)], [t('upload-cancel'), () => cancel(transfer)]]
    }
  }

  #showStored(row, transfer) {
    if (transfer.service.may.has('read')) {
      const link = element('a', { href: transfer.url, download: '' })
      const name = row.querySelector('bdi')
      name.replaceWith(link)
      link.append(name)
    }
    if (transfer.sha256) {
      const digest = row.querySelector('.digest')
      digest.hidden = false
      digest.querySelector('code').textContent = transfer.sha256
      digest.querySelector('p').append(actionOn(t('upload-digest-of', { name: transfer.name }), t('copy'), () => copy(transfer.sha256, 'SHA-256')))
    }
    this.#sort()
  }

  // Move the files that are stored below the others, unless the user is about to press a button.
  #sort() {
    if (this.list.matches(':hover, :focus-within')) return
    const others = [...this.list.children].filter(({ dataset }) => dataset.state !== 'done')
    for (const row of this.list.querySelectorAll('[data-state=done]')) {
      if (row.compareDocumentPosition(others.at(-1) ?? row) & Node.DOCUMENT_POSITION_FOLLOWING) this.list.append(row)
    }
  }

  #setButtons(row, name, buttons) {
    const box = row.querySelector('.actions')
    const hadFocus = box.contains(document.activeElement)
    box.replaceChildren(...buttons.map(([label, act]) => actionOn(name, label, act)))
    if (hadFocus) box.firstElementChild?.focus()
  }
}

function details(transfer) {
  const { state, file, sent, rate, reason } = transfer
  const size = format.size(file.size)
  const progress = t('upload-progress', { sent: format.size(sent), size })
  switch (state) {
    case 'waiting':
      return t('upload-waiting', { size })
    case 'sending':
      if (sent === file.size) return t('upload-checking', { size })
      return rate ? [progress, t('upload-rate', { rate: format.size(rate) }), t('upload-left', { duration: format.duration((file.size - sent) / rate) })].join(' · ') : progress
    case 'retrying':
      return t('upload-retrying', { progress, reason })
    case 'paused':
      return reason ? t('upload-paused-because', { progress, reason }) : t('upload-paused', { progress })
    case 'refused':
      return t('upload-refused', { reason })
    default:
      return t('upload-stored', { size })
  }
}

// Leave alone what has not changed, such as text that the user is selecting.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

// Make a button that says to screen readers what its action is applied to.
function actionOn(object, label, act) {
  return button(act, {}, label, element('span', { className: 'visually-hidden' }, ` ${object}`))
}

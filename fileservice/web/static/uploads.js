// The uploads of the page: a row for each, and two that run at the same time.
import { announce, announceError } from './announce.js'
import { copy } from './clipboard.js'
import * as format from './format.js'
import { onSignedIn, signedOut } from './session.js'
import { Transfer } from './transfer.js'
import { terminate } from './tus.js'
import * as unfinished from './unfinished.js'

const MAX_RUNNING = 2
const form = document.getElementById('upload')
const input = document.getElementById('file')
const list = document.getElementById('transfers')
const template = document.getElementById('transfer')
const limits = form && {
  maxSize: Number(form.dataset.maxSize),
  extensions: form.dataset.extensions.split(' '),
  prefix: form.dataset.prefix,
  may: form.dataset.may.split(' '),
  formatSize: format.size,
}

const rows = new Map() // transfer → its row
const unfinishedRows = new Map() // key of an unfinished upload of an earlier visit → its row
let onStored = () => {}

// Start the form, which is only on the page if its reader may upload files; `stored()` is called when
// a file is stored.
export function start(stored) {
  if (!form) return
  onStored = stored
  input.multiple = true
  input.required = false
  input.addEventListener('change', () => {
    add(input.files)
    input.value = ''
  })
  form.addEventListener('submit', (event) => event.preventDefault())
  addEventListener('beforeunload', (event) => {
    if ([...rows.keys()].some((transfer) => transfer.isActive)) event.preventDefault()
  })
  for (const [key, { name, size, url }] of unfinished.entries()) addUnfinished(key, name, size, url)
  acceptDrops()
  onSignedIn(() => {
    for (const transfer of rows.keys()) if (transfer.isSignedOut) transfer.resume()
    startWaiting()
  })
}

function acceptDrops() {
  let depth = 0 // of the elements that the files are dragged over
  const dragging = (change, event) => {
    if (!event.dataTransfer?.types.includes('Files')) return
    event.preventDefault()
    depth = change ? depth + change : 0
    document.body.classList.toggle('dragging', depth > 0)
  }
  addEventListener('dragenter', (event) => dragging(1, event))
  addEventListener('dragleave', (event) => dragging(-1, event))
  addEventListener('dragover', (event) => event.dataTransfer?.types.includes('Files') && event.preventDefault())
  addEventListener('drop', (event) => {
    dragging(0, event)
    const items = [...event.dataTransfer.items].filter((item) => item.kind === 'file')
    const isFolder = (item) => item.webkitGetAsEntry?.()?.isDirectory
    if (items.some(isFolder)) announceError('Folders are left out: choose the files in them.')
    add(items.filter((item) => !isFolder(item)).map((item) => item.getAsFile()))
  })
}

function add(files) {
  for (const file of files) {
    for (const [key, row] of unfinishedRows) {
      if (unfinished.matches(key, file)) {
        row.remove()
        unfinishedRows.delete(key)
      }
    }
    const transfer = new Transfer(file, limits, draw)
    const row = newRow(file.name)
    rows.set(transfer, row)
    list.prepend(row)
    draw(transfer)
  }
  startWaiting()
}

// Start transfers that wait, until as many run as may.
function startWaiting() {
  const transfers = [...rows.keys()]
  let free = MAX_RUNNING - transfers.filter(({ state }) => ['sending', 'retrying'].includes(state)).length
  for (const transfer of transfers.filter(({ state }) => state === 'waiting')) {
    if (free-- <= 0) return
    transfer.run().finally(() => onEnd(transfer))
  }
}

function onEnd(transfer) {
  if (transfer.state === 'done') {
    announce(`${transfer.file.name} is stored`)
    onStored()
  } else if (transfer.state === 'refused') {
    announceError(`${transfer.file.name} was not stored. ${transfer.reason}`)
  } else if (transfer.isSignedOut) {
    signedOut()
    return // the others would be refused as well
  }
  startWaiting()
}

function newRow(name) {
  const row = template.content.firstElementChild.cloneNode(true)
  row.querySelector('bdi').textContent = name
  row.querySelector('progress').setAttribute('aria-label', name)
  return row
}

// Add a row for an unfinished upload, which is resumed when its file is chosen again.
function addUnfinished(key, name, size, url) {
  const row = newRow(name)
  row.dataset.state = 'unfinished'
  row.querySelector('.details').textContent = `Not finished (${format.size(size)}). Choose the same file again to continue it.`
  setActions(row, name, [
    ['Choose', () => input.click()],
    ['Discard', () => {
      unfinished.removeKey(key)
      unfinishedRows.delete(key)
      removeRow(row)
      terminate(url).catch(() => {}) // the upload then stays until it expires
    }],
  ])
  unfinishedRows.set(key, row)
  list.append(row)
}

const ACTIONS = {
  waiting: [['Pause', (transfer) => transfer.pause()], ['Cancel', cancel]],
  sending: [['Pause', (transfer) => transfer.pause()], ['Cancel', cancel]],
  retrying: [['Pause', (transfer) => transfer.pause()], ['Cancel', cancel]],
  paused: [['Resume', restart('resume')], ['Cancel', cancel]],
  refused: [['Retry', restart('retry')], ['Dismiss', dismiss]],
  refusedForGood: [['Dismiss', dismiss]],
  done: [...(limits?.may.includes('read') ? [['Copy link', (transfer) => copy(new URL(transfer.url, location.href).href, 'Link')]] : []), ['Dismiss', dismiss]],
}

function restart(method) {
  return (transfer) => {
    transfer[method]()
    startWaiting()
  }
}

function cancel(transfer) {
  dismiss(transfer)
  transfer.cancel()
  announce(`${transfer.file.name} is cancelled`)
  startWaiting()
}

function dismiss(transfer) {
  removeRow(rows.get(transfer))
  rows.delete(transfer)
}

// Remove a row; if it has the focus, move that to the next row, or to the file field.
function removeRow(row) {
  const hadFocus = row.contains(document.activeElement)
  const neighbour = row.nextElementSibling ?? row.previousElementSibling
  row.remove()
  if (hadFocus) (neighbour?.querySelector('button') ?? input).focus()
}

function draw(transfer) {
  const row = rows.get(transfer)
  if (!row) return
  const { state, file, sent } = transfer
  const fraction = file.size ? sent / file.size : 0
  row.querySelector('progress').value = fraction
  row.querySelector('.details').textContent = details(transfer)
  const quarter = Math.floor(4 * fraction)
  if (state === 'sending' && quarter > (row.quarter ?? 0) && quarter < 4) announce(`${file.name}: ${format.percent(quarter / 4)}`)
  row.quarter = quarter
  if (row.dataset.state === state) return
  if (state === 'retrying') announce(`${file.name}: connection lost, trying again`)
  const withSameActions = ['waiting', 'sending', 'retrying']
  const keepsActions = withSameActions.includes(state) && withSameActions.includes(row.dataset.state)
  row.dataset.state = state
  if (!keepsActions) setActions(row, file.name, ACTIONS[state === 'refused' && !transfer.canRetry ? 'refusedForGood' : state] ?? [], transfer)
  if (state === 'done') showStored(row, transfer)
}

function details(transfer) {
  const { state, file, sent, rate } = transfer
  const progress = `${format.size(sent)} of ${format.size(file.size)}`
  switch (state) {
    case 'waiting':
      return `${format.size(file.size)}, waiting for other uploads`
    case 'sending':
      if (sent === file.size) return `${format.size(file.size)} sent; being checked and stored`
      return rate ? `${progress} · ${format.size(rate)}/s · ${format.duration((file.size - sent) / rate)} left` : progress
    case 'retrying':
      return `${progress} · trying again: ${transfer.reason}`
    case 'paused':
      return `${progress} · paused${transfer.reason && `: ${transfer.reason}`}`
    case 'refused':
      return `Not stored. ${transfer.reason}`
    default:
      return `Stored, ${format.size(file.size)}`
  }
}

function showStored(row, transfer) {
  if (limits.may.includes('read')) {
    const link = document.createElement('a')
    link.href = transfer.url
    link.download = ''
    const name = row.querySelector('bdi')
    name.replaceWith(link)
    link.append(name)
  }
  if (!transfer.sha256) return
  const code = document.createElement('code')
  code.textContent = transfer.sha256
  row.querySelector('.details').append(' · SHA-256 ', code, ' ', button('Copy', `the SHA-256 of ${transfer.file.name}`, () => copy(transfer.sha256, 'SHA-256')))
}

function setActions(row, name, actions, transfer) {
  const box = row.querySelector('.actions')
  const hadFocus = box.contains(document.activeElement)
  box.replaceChildren(...actions.map(([label, act]) => button(label, name, () => act(transfer))))
  if (hadFocus) box.firstElementChild?.focus()
}

// Make a button; `object` says to screen readers what its action is applied to.
function button(label, object, act) {
  const element = document.createElement('button')
  element.type = 'button'
  element.className = 'small'
  const hidden = document.createElement('span')
  hidden.className = 'visually-hidden'
  hidden.textContent = ` ${object}`
  element.append(label, hidden)
  element.addEventListener('click', act)
  return element
}

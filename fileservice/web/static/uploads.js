// The uploads of this page: a row for each, and two on their way at a time.
import * as format from './format.js'
import { forgetKey, isOf, remembered } from './memory.js'
import { copy, say, warn } from './say.js'
import { Transfer } from './transfer.js'
import { discard } from './tus.js'

const AT_A_TIME = 2
const form = document.getElementById('upload')
const input = document.getElementById('file')
const list = document.getElementById('transfers')
const template = document.getElementById('transfer')
const rules = {
  maxSize: Number(form.dataset.maxSize),
  extensions: form.dataset.extensions.split(' '),
  sizeText: format.size,
}

const rows = new Map() // transfer → its row
const offers = new Map() // key of a remembered upload → its row
let onStored = () => {}

// `stored()` is called for each file that has arrived.
export function start(stored) {
  onStored = stored
  input.multiple = true
  input.required = false
  input.addEventListener('change', () => {
    add(input.files)
    input.value = ''
  })
  form.addEventListener('submit', (event) => event.preventDefault())
  addEventListener('beforeunload', (event) => {
    if ([...rows.keys()].some((transfer) => transfer.active)) event.preventDefault()
  })
  for (const [key, { name, size, url }] of remembered()) offer(key, name, size, url)
  acceptDrops()
}

function acceptDrops() {
  let depth = 0
  const dragging = (by, event) => {
    if (!event.dataTransfer?.types.includes('Files')) return
    event.preventDefault()
    depth = by ? depth + by : 0
    document.body.classList.toggle('dragging', depth > 0)
  }
  addEventListener('dragenter', (event) => dragging(1, event))
  addEventListener('dragleave', (event) => dragging(-1, event))
  addEventListener('dragover', (event) => event.dataTransfer?.types.includes('Files') && event.preventDefault())
  addEventListener('drop', (event) => {
    dragging(0, event)
    const items = [...event.dataTransfer.items].filter((item) => item.kind === 'file')
    const folder = (item) => item.webkitGetAsEntry?.()?.isDirectory
    if (items.some(folder)) warn('Folders are left out: choose the files in them.')
    add(items.filter((item) => !folder(item)).map((item) => item.getAsFile()))
  })
}

function add(files) {
  for (const file of files) {
    for (const [key, row] of offers) {
      if (isOf(key, file)) {
        row.remove()
        offers.delete(key)
      }
    }
    const transfer = new Transfer(file, rules, draw)
    const row = newRow(file.name)
    rows.set(transfer, row)
    list.prepend(row)
    draw(transfer)
  }
  next()
}

// Begin what waits, as long as there is room.
function next() {
  const all = [...rows.keys()]
  let room = AT_A_TIME - all.filter((transfer) => ['sending', 'retrying'].includes(transfer.state)).length
  for (const transfer of all.filter(({ state }) => state === 'waiting')) {
    if (room-- <= 0) return
    transfer.run().finally(() => ended(transfer))
  }
}

function ended(transfer) {
  if (transfer.state === 'done') {
    say(`${transfer.file.name} is stored`)
    onStored()
  } else if (transfer.state === 'refused') {
    warn(`${transfer.file.name} was not stored. ${transfer.reason}`)
  }
  next()
}

function newRow(name) {
  const row = template.content.firstElementChild.cloneNode(true)
  row.querySelector('bdi').textContent = name
  row.querySelector('progress').setAttribute('aria-label', name)
  return row
}

// An upload of an earlier visit, which goes on when its file is chosen again.
function offer(key, name, size, url) {
  const row = newRow(name)
  row.dataset.state = 'remembered'
  row.querySelector('.facts').textContent = `Not finished (${format.size(size)}). Choose the same file again, and it goes on from where it was.`
  setActions(row, name, [
    ['Choose', () => input.click()],
    ['Discard', () => {
      forgetKey(key)
      offers.delete(key)
      leave(row)
      discard(url).catch(() => {}) // else it expires
    }],
  ])
  offers.set(key, row)
  list.append(row)
}

const ACTIONS = {
  waiting: [['Pause', (transfer) => transfer.pause()], ['Cancel', cancel]],
  sending: [['Pause', (transfer) => transfer.pause()], ['Cancel', cancel]],
  retrying: [['Pause', (transfer) => transfer.pause()], ['Cancel', cancel]],
  paused: [['Resume', again('resume')], ['Cancel', cancel]],
  refused: [['Retry', again('retry')], ['Dismiss', dismiss]],
  hopeless: [['Dismiss', dismiss]],
  done: [['Copy link', (transfer) => copy(new URL(transfer.url, location.href).href, 'Link')], ['Dismiss', dismiss]],
}

function again(how) {
  return (transfer) => {
    transfer[how]()
    next()
  }
}

function cancel(transfer) {
  dismiss(transfer)
  transfer.cancel()
  say(`${transfer.file.name} is cancelled`)
  next()
}

function dismiss(transfer) {
  leave(rows.get(transfer))
  rows.delete(transfer)
}

// Take a row away, and the focus to where it is of use.
function leave(row) {
  const focused = row.contains(document.activeElement)
  const neighbour = row.nextElementSibling ?? row.previousElementSibling
  row.remove()
  if (focused) (neighbour?.querySelector('button') ?? input).focus()
}

function draw(transfer) {
  const row = rows.get(transfer)
  if (!row) return
  const { state, file, sent } = transfer
  const share = file.size ? sent / file.size : 0
  row.querySelector('progress').value = share
  row.querySelector('.facts').textContent = facts(transfer)
  const quarter = Math.floor(4 * share)
  if (state === 'sending' && quarter > (row.quarter ?? 0) && quarter < 4) say(`${file.name}: ${format.percent(quarter / 4)}`)
  row.quarter = quarter
  if (row.dataset.state === state) return
  if (state === 'retrying') say(`${file.name}: connection lost, trying again`)
  const kept = ['waiting', 'sending', 'retrying']
  const same = kept.includes(state) && kept.includes(row.dataset.state)
  row.dataset.state = state
  if (!same) setActions(row, file.name, ACTIONS[transfer.hopeless ? 'hopeless' : state] ?? [], transfer)
  if (state === 'done') showStored(row, transfer)
}

function facts(transfer) {
  const { state, file, sent, rate } = transfer
  const progress = `${format.size(sent)} of ${format.size(file.size)}`
  switch (state) {
    case 'waiting':
      return `${format.size(file.size)}, waiting for its turn`
    case 'sending':
      if (sent === file.size) return `${format.size(file.size)} sent; being checked and stored`
      return rate ? `${progress} · ${format.size(rate)}/s · ${format.duration((file.size - sent) / rate)} left` : progress
    case 'retrying':
      return `${progress} · trying again: ${transfer.reason}`
    case 'paused':
      return `${progress} · paused`
    case 'refused':
      return `Not stored. ${transfer.reason}`
    default:
      return `Stored, ${format.size(file.size)}`
  }
}

function showStored(row, transfer) {
  const link = document.createElement('a')
  link.href = transfer.url
  link.download = ''
  row.querySelector('bdi').replaceWith(link)
  const name = document.createElement('bdi')
  name.textContent = transfer.file.name
  link.append(name)
  if (!transfer.sha256) return
  const code = document.createElement('code')
  code.textContent = transfer.sha256
  row.querySelector('.facts').append(' · SHA-256 ', code, ' ', button('Copy', `the SHA-256 of ${transfer.file.name}`, () => copy(transfer.sha256, 'SHA-256')))
}

function setActions(row, name, actions, transfer) {
  const box = row.querySelector('.actions')
  const focused = box.contains(document.activeElement)
  box.replaceChildren(...actions.map(([label, act]) => button(label, name, () => act(transfer))))
  if (focused) box.firstElementChild?.focus()
}

function button(label, name, act) {
  const made = document.createElement('button')
  made.type = 'button'
  made.className = 'small'
  const unseen = document.createElement('span')
  unseen.className = 'unseen'
  unseen.textContent = ` ${name}`
  made.append(label, unseen)
  made.addEventListener('click', act)
  return made
}

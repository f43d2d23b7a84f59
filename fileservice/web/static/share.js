// Links, in two dialogs: one makes a link to a file, or for guests, and the other has those there are.
import { copy } from './clipboard.js'
import * as dialogs from './dialogs.js'
import { button, element } from './elements.js'
import * as format from './format.js'
import * as list from './list.js'
import * as messages from './messages.js'
import { signedOut } from './session.js'
import { sentence, t } from './text.js'

const GIB = 2 ** 30 // bytes
const dialog = document.getElementById('share')
const links = document.getElementById('links')
const form = dialog?.querySelector('.fields')
const made = dialog?.querySelector('.made')
let name = null // of the file to share; null for a link for guests
let cameFrom

export function start() {
  if (!dialog) return
  form.addEventListener('submit', make)
  made.querySelector('button').addEventListener('click', copyLink)
  dialog.addEventListener('close', () => list.focusOn(cameFrom))
  links.addEventListener('close', () => list.focusOn('links'))
  links.querySelector('[data-do]')?.addEventListener('click', () => {
    links.close()
    open(null)
  })
}

// Open the dialog that makes a link to the file of a row.
export function show(row) {
  open(list.nameOf(row))
}

function open(file) {
  name = file
  cameFrom = name === null ? 'links' : `share ${name}`
  const title = name === null ? t('ask-for-files') : t('share', { name })
  dialog.querySelector('h2').textContent = title
  form.reset()
  form.hidden = false
  made.hidden = true
  form.querySelector('.notice').hidden = true
  for (const [kind, isShown] of [['file', name !== null], ['guests', name === null]]) {
    for (const label of form.querySelectorAll(`.for-${kind}`)) label.hidden = !isShown
  }
  dialogs.open(dialog)
}

async function make(event) {
  event.preventDefault()
  const field = (key) => form.elements[key].value
  const terms = { expires: field('expires'), password: field('password'), note: field('note').trim() }
  if (name === null) terms.upload = given({ prefix: field('prefix'), files: Number(field('files')), bytes: Math.round(GIB * field('bytes')) })
  else Object.assign(terms, { name, uses: Number(field('uses')) })
  try {
    const link = await ask('links', 'POST', given(terms))
    form.hidden = true
    made.hidden = false
    made.querySelector('input').value = link.url
    made.querySelector('.secondary').textContent = limits(link)
    made.querySelector('figure').replaceChildren(...(link.qr ? [picture(link.qr)] : []))
    made.querySelector('button').focus()
    copyLink()
  } catch (error) {
    const notice = form.querySelector('.notice')
    notice.textContent = error.message
    notice.hidden = false
  }
}

// Leave out what was not filled in.
function given(terms) {
  return Object.fromEntries(Object.entries(terms).filter(([, value]) => value))
}

function copyLink() {
  copy(made.querySelector('input').value, t('link'))
}

// What a link allows, in words.
function limits({ expires, uses, uses_left, upload, password }) {
  return [
    expires ? t('until', { date: format.date(new Date(expires)) }) : t('until-revoked'),
    uses && t('uses-left', { count: uses_left }),
    upload?.files && t('guest-files', { count: upload.files }),
    upload?.bytes && t('guest-bytes', { size: format.size(upload.bytes) }),
    password && t('with-password'),
  ].filter(Boolean).join(' · ')
}

function picture(svg) {
  return document.importNode(new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement, true)
}

// Open the dialog with the links of the reader.
export async function showLinks() {
  try {
    links.querySelector('ul').replaceChildren(...rows(await ask('links')))
    dialogs.open(links)
  } catch (error) {
    messages.show(error.message, { kind: 'bad' })
  }
}

function rows(found) {
  const shown = found.filter(({ state, received }) => state === 'valid' || received?.files)
  if (!shown.length) return [element('li', {}, t('no-links'))]
  return shown.map((link) => {
    const subject = link.name ?? t('from-guests', { prefix: link.upload.prefix })
    const isValid = link.state === 'valid'
    const words = [link.note, isValid ? limits(link) : t('link-over')].filter(Boolean).join(' · ')
    const row = element('li', {}, element('p', {}, element('bdi', {}, subject), element('span', {}, words)))
    if (isValid) row.append(button(() => revoke(link, row, subject), { className: 'button danger', ariaLabel: t('revoke-of', { name: subject }) }, t('revoke')))
    if (link.received?.files) row.append(receivedFiles(link))
    return row
  })
}

// The files that came by a link, which are looked up when the user wants to see them.
function receivedFiles({ id, received }) {
  const files = element('ul')
  const details = element('details', {}, element('summary', {}, t('received', { count: received.files })), files)
  details.addEventListener('toggle', async () => {
    if (!details.open) return
    try {
      const link = await ask(`links/${id}`)
      files.replaceChildren(...link.files.map(({ filename, size }) => element('li', {}, nameOf(filename), `, ${format.size(size)}`)))
    } catch (error) {
      messages.show(error.message, { kind: 'bad' })
    }
  })
  return details
}

function nameOf(filename) {
  const shown = element('bdi', {}, filename)
  return 'mayRead' in links.dataset ? element('a', { href: `download/${encodeURIComponent(filename)}`, download: '' }, shown) : shown
}

async function revoke({ id }, row, subject) {
  try {
    await ask(`links/${id}`, 'DELETE')
    const next = row.nextElementSibling ?? row.previousElementSibling
    row.remove()
    ;(next?.querySelector('button, summary') ?? links.querySelector('button')).focus()
    messages.show(t('revoked', { name: subject }), { kind: 'good' })
  } catch (error) {
    messages.show(error.message, { kind: 'bad' })
  }
}

// Send a request about links. Throws an error with what the server says against it.
async function ask(path, method = 'GET', document = null) {
  const headers = { Accept: 'application/json', ...(document && { 'Content-Type': 'application/json' }) }
  const response = await fetch(path, { method, headers, body: document && JSON.stringify(document) }).catch(() => {
    throw new Error(t('server-unreachable'))
  })
  if (response.status === 401) signedOut()
  const answer = response.status === 204 ? null : await response.json()
  if (!response.ok) throw new Error(sentence(answer.detail))
  return answer
}

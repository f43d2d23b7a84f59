// Previews of files, in a dialog. Nothing in a file runs: text is shown as text, and what the browser
// shows itself is in a frame without rights.
import * as dialogs from './dialogs.js'
import { element } from './elements.js'
import * as format from './format.js'
import * as list from './list.js'
import { sentence, t } from './text.js'

const MAX_TEXT = 512 * 1024 // bytes of a file that are fetched and shown as text
const MAX_ROWS = 500
const MAX_COLUMNS = 50

const dialog = document.getElementById('preview')
const view = dialog?.querySelector('.view')
let current = null // the link to the preview that is shown

export function start() {
  if (!dialog) return
  dialog.addEventListener('close', () => {
    view.replaceChildren()
    list.focusOn(list.keyOf(current))
  })
  dialog.addEventListener('keydown', ({ key, target }) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key]
    if (step && !target.matches('audio, video, .view *')) showOther(step)
  })
}

export function show(row, link) {
  draw(row, link)
  dialogs.open(dialog)
}

// Show the next or previous file that has a preview.
function showOther(step) {
  const links = list.rows().map((row) => row.querySelector('[data-do=preview]')).filter(Boolean)
  const next = links[links.findIndex((link) => list.keyOf(link) === list.keyOf(current)) + step]
  if (next) draw(next.closest('tr'), next)
}

async function draw(row, link) {
  current = link
  const name = list.nameOf(row)
  dialog.querySelector('bdi').textContent = name
  dialog.querySelector('header a').href = list.urlOf(row)
  view.setAttribute('aria-busy', 'true')
  view.replaceChildren()
  const size = Number(row.querySelector('data').value)
  const shown = await (SHOWN_BY[link.dataset.preview] ?? showText)({ name, size, url: list.urlOf(row), inlineUrl: link.href, kind: link.dataset.preview })
  if (current !== link) return
  view.removeAttribute('aria-busy')
  view.replaceChildren(...shown)
}

const SHOWN_BY = {
  image: ({ name, inlineUrl }) => [element('img', { alt: name, src: inlineUrl })],
  frame: ({ name, inlineUrl }) => [element('iframe', { title: name, src: inlineUrl })],
  audio: showMedia,
  video: showMedia,
}

function showMedia({ name, url, kind }) {
  return [element(kind, { controls: true, preload: 'metadata', src: url, ariaLabel: name })]
}

// Show the first part of a file as text.
async function showText({ name, size, url, kind }) {
  if (!size) return [element('p', {}, t('empty-file'))]
  let text
  try {
    // Without the cache: of a file that has become longer since it was cached, Chromium asks for as
    // many bytes as it had before, and takes these for the whole answer.
    const response = await fetch(url, { headers: { Range: `bytes=0-${MAX_TEXT - 1}` }, cache: 'no-store' })
    if (!response.ok) throw new Error(sentence((await response.json()).detail))
    text = await response.text()
  } catch (error) {
    return [element('p', { className: 'notice bad' }, t('not-shown', { reason: error.message }))]
  }
  const isCut = size > MAX_TEXT
  const notes = isCut ? [note(t('first-part', { size: format.size(MAX_TEXT) }))] : []
  if (kind === 'table') return showTable(name, text, notes)
  return [...notes, scrollable(element('pre', {}, kind === 'json' && !isCut ? indented(text) : text), name)]
}

function note(text) {
  return element('p', { className: 'secondary' }, text)
}

function indented(json) {
  try {
    return JSON.stringify(JSON.parse(json), null, 2)
  } catch {
    return json
  }
}

function showTable(name, text, notes) {
  const rows = parseTable(text.replace(/^\uFEFF/, ''), name.toLowerCase().endsWith('.tsv') ? '\t' : null)
  const isCut = rows.length > MAX_ROWS
  if (isCut) notes = [note(t('first-rows', { count: MAX_ROWS }))]
  const table = element('table')
  for (const [index, cells] of rows.slice(0, MAX_ROWS).entries()) {
    const row = table.insertRow()
    for (const cell of cells.slice(0, MAX_COLUMNS)) row.append(element(index ? 'td' : 'th', {}, cell))
  }
  return [...notes, scrollable(table, name)]
}

// Parse a table (RFC 4180). The separator is the one that the first line has most often.
function parseTable(text, separator) {
  const [firstLine] = text.split('\n', 1)
  const count = (character) => firstLine.split(character).length
  separator ??= [',', ';', '\t'].reduce((best, other) => (count(other) > count(best) ? other : best))
  const cell = new RegExp(`(?:"((?:[^"]|"")*)"|([^\\n${separator}]*))(${separator}|\\r?\\n|$)`, 'y')
  const rows = [[]]
  while (cell.lastIndex < text.length && rows.length <= MAX_ROWS + 1) {
    const match = cell.exec(text)
    if (!match) break
    const [, quoted, plain, end] = match
    rows.at(-1).push(quoted?.replaceAll('""', '"') ?? plain.replace(/\r$/, ''))
    if (end === '') break
    if (end !== separator) rows.push([])
  }
  return rows.filter((cells) => cells.length)
}

// Let an element be scrolled by keyboard, too.
function scrollable(content, name) {
  return element('div', { className: 'scrollable', tabIndex: 0, role: 'region', ariaLabel: name }, content)
}

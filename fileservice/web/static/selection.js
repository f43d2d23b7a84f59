// The files that are selected in the list, by checkboxes, and the bar with what can be done to them.
import { copy } from './clipboard.js'
import * as deletion from './deletion.js'
import { element } from './elements.js'
import * as format from './format.js'
import * as list from './list.js'
import * as messages from './messages.js'
import * as share from './share.js'
import { t } from './text.js'

const MAX_ADDRESS_LENGTH = 7500 // bytes; the server takes a little more
const bar = document.getElementById('bar')
const names = new Set() // of the files that are selected
let anchor = null // the name of the file where a range begins

export function start() {
  if (!bar) return
  list.whenShown(restore)
  document.addEventListener('click', onClick)
  document.addEventListener('keydown', onKey)
  bar.addEventListener('click', ({ target }) => {
    const act = { 'download-selected': download, 'copy-selected': copyLinks, 'share-selected': () => share.show(selectedRows()[0]), 'delete-selected': remove, 'clear-selection': clear }
    act[target.closest('[data-do]')?.dataset.do]?.()
  })
}

function boxOf(row) {
  return row.querySelector('.select input')
}

function selectedRows() {
  return list.rows().filter((row) => boxOf(row)?.checked)
}

// Select what was selected in the list that was shown before; files that are gone are not selected.
function restore() {
  const rows = list.rows().filter(boxOf)
  for (const row of rows) boxOf(row).checked = names.has(list.nameOf(row))
  update()
}

function onClick({ target, shiftKey }) {
  if (!target.matches('#files .select input')) return
  const row = target.closest('tbody tr')
  if (!row) selectAll(target.checked)
  else if (shiftKey) selectRange(row, target.checked)
  if (row) anchor = list.nameOf(row)
  update()
}

function selectAll(checked) {
  for (const row of list.rows()) boxOf(row).checked = checked
}

// Give all rows between the last one that was changed and this one the same state.
function selectRange(row, checked) {
  const rows = list.rows()
  const begin = rows.findIndex((other) => list.nameOf(other) === anchor)
  const end = rows.indexOf(row)
  if (begin < 0) return
  for (const other of rows.slice(Math.min(begin, end), Math.max(begin, end) + 1)) boxOf(other).checked = checked
}

// Arrows move between the checkboxes, and select together with Shift; Ctrl+A selects all, and Escape none.
function onKey(event) {
  const { key, target, shiftKey } = event
  if (key === 'Escape' && !bar.hidden && !target.closest('dialog, [type=search]')) clear()
  const row = target.closest?.('#files tbody tr')
  if (!row || !target.matches('.select input')) return
  if (key === 'a' && (event.ctrlKey || event.metaKey)) selectAll(true)
  else if (key === 'ArrowDown' || key === 'ArrowUp') {
    const rows = list.rows()
    const next = rows[rows.indexOf(row) + (key === 'ArrowDown' ? 1 : -1)]
    if (!next) return
    boxOf(next).focus()
    if (shiftKey) target.checked = boxOf(next).checked = true
    anchor = list.nameOf(next)
  } else return
  event.preventDefault()
  update()
}

function update() {
  const rows = list.rows()
  const selected = selectedRows()
  names.clear()
  for (const row of selected) names.add(list.nameOf(row))
  const all = document.querySelector('#files thead .select input')
  if (all) {
    all.checked = selected.length > 0 && selected.length === rows.length
    all.indeterminate = selected.length > 0 && !all.checked
  }
  const hadFocus = bar.contains(document.activeElement)
  bar.hidden = !selected.length
  const forOne = bar.querySelector('[data-do=share-selected]')
  if (forOne) forOne.hidden = selected.length !== 1
  if (bar.hidden && hadFocus) list.focusOn('select-all')
  const size = selected.reduce((sum, row) => sum + Number(row.querySelector('data').value), 0)
  bar.querySelector('p').textContent = t('selected', { count: selected.length, size: format.size(size) })
}

function clear() {
  selectAll(false)
  update()
}

function download() {
  const rows = selectedRows()
  const query = new URLSearchParams(rows.map((row) => ['name', list.nameOf(row)]))
  const href = rows.length === 1 ? list.urlOf(rows[0]) : `${bar.dataset.archive}?${query}`
  const link = element('a', { href, download: '' })
  if (link.href.length > MAX_ADDRESS_LENGTH) messages.show(t('too-many-selected'), { kind: 'bad' })
  else link.click()
}

function copyLinks() {
  const links = selectedRows().map(list.urlOf)
  copy(links.join('\n'), t(links.length === 1 ? 'link' : 'links'))
}

function remove() {
  deletion.remove(selectedRows())
}

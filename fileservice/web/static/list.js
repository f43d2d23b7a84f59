// The list of stored files. The server renders it; this script fetches it again and replaces it, so
// that uploads go on while the user searches, sorts and changes the page. A page whose reader may not
// list files has no list, and the dialogs are only there for what the reader may do.
import { announce } from './announce.js'
import { copy } from './clipboard.js'
import * as dialogs from './dialogs.js'
import * as format from './format.js'
import * as messages from './messages.js'
import { onSignedIn, signedOut } from './session.js'
import { t } from './text.js'

const REFRESH_INTERVAL = 10_000 // ms; shows what others have stored
const MIN_IDLE_FACTOR = 20 // the pause is at least so many times as long as the last refresh took
const TYPING_PAUSE = 150 // ms without a key before the server is asked

const preview = document.getElementById('preview')
const confirmation = document.getElementById('confirm')
let section = document.getElementById('files')
let currentHtml = section?.outerHTML // as the server sent it
let requestAborter = null
let typingTimer

export function start() {
  if (!section) return
  localise()
  document.addEventListener('click', onClick)
  document.addEventListener('input', (event) => {
    if (event.target.id !== 'q') return
    clearTimeout(typingTimer)
    typingTimer = setTimeout(search, TYPING_PAUSE)
  })
  document.addEventListener('submit', (event) => {
    if (event.target.id !== 'search') return
    event.preventDefault()
    clearTimeout(typingTimer)
    search()
  })
  addEventListener('popstate', () => show(location.href, { announceResult: true }))
  onSignedIn(refresh)
  refreshRepeatedly()
  document.addEventListener('visibilitychange', () => document.hidden || refresh())
  preview?.addEventListener('close', () => preview.querySelector('.view').replaceChildren())
}

async function refreshRepeatedly(pause = REFRESH_INTERVAL) {
  await new Promise((resolve) => setTimeout(resolve, pause))
  const start = performance.now()
  if (!document.hidden && !requestAborter && !document.querySelector('dialog[open]')) await refresh()
  refreshRepeatedly(Math.max(REFRESH_INTERVAL, MIN_IDLE_FACTOR * (performance.now() - start)))
}

// Show the files that are stored now.
export async function refresh() {
  if (section) await show(location.href)
}

function search() {
  const fields = new URLSearchParams(new FormData(document.getElementById('search')))
  if (!fields.get('q')) fields.delete('q')
  navigate(`?${fields}`, { replace: true })
}

// Show the list for a query string, and put that into the address bar.
function navigate(query, { replace = false } = {}) {
  const url = new URL(query, location.href)
  if (url.search.length < 2) url.search = ''
  if (replace) history.replaceState(null, '', url)
  else history.pushState(null, '', url)
  return show(url, { announceResult: true })
}

async function show(url, { announceResult = false } = {}) {
  requestAborter?.abort()
  const aborter = (requestAborter = new AbortController())
  try {
    const response = await fetch(url, { headers: { Accept: 'text/html' }, signal: aborter.signal })
    if (response.status === 401 || response.redirected) signedOut() // to the page for signing in
    if (!response.ok || response.redirected) return
    const fetched = new DOMParser().parseFromString(await response.text(), 'text/html').getElementById('files')
    if (!fetched) {
      section.replaceChildren() // the reader may not list files any more
      currentHtml = ''
      return
    }
    if (fetched.outerHTML !== currentHtml) replaceSection(fetched)
    if (announceResult) announceCount()
  } catch (error) {
    if (error.name !== 'AbortError' && announceResult) messages.show(t('list-unreachable'), { kind: 'bad' })
  } finally {
    if (requestAborter === aborter) requestAborter = null
  }
}

function replaceSection(fetched) {
  currentHtml = fetched.outerHTML
  const focused = section.contains(document.activeElement) ? document.activeElement : null
  const query = section.querySelector('#q')
  const next = document.importNode(fetched, true)
  const field = next.querySelector('#q')
  if (query && field) {
    // The search field is kept, with what the user is typing and its selection.
    next.querySelector('#search').replaceWith(query.form)
    const hidden = fetched.querySelector('#search [type=hidden]')
    query.form.querySelector('[type=hidden]')?.remove()
    if (hidden) query.form.append(document.importNode(hidden))
    if (focused !== query) query.value = field.value
  }
  section.replaceWith(next)
  section = next
  localise()
  if (!focused) return
  const sameElement = focused === query ? query : [...section.querySelectorAll('[data-key]')].find(({ dataset }) => dataset.key === focused.dataset.key)
  ;(sameElement ?? section.querySelector('#q') ?? document.getElementById('file'))?.focus({ preventScroll: true })
}

function announceCount() {
  const count = section.querySelectorAll('tbody tr').length
  announce(t(section.querySelector('[rel=next]') ? 'files-shown-of-more' : 'files-shown', { count }))
}

function localise() {
  for (const data of section.querySelectorAll('data')) data.textContent = format.size(Number(data.value))
  for (const time of section.querySelectorAll('time')) time.textContent = format.date(new Date(time.dateTime))
}

function onClick(event) {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
  const target = event.target.closest('#files a, #files button')
  if (!target) return
  const row = target.closest('tr')
  const action = { preview: showPreview, copy: () => copy(urlOf(row), t('link')), delete: confirmAndDelete }[target.dataset.do]
  if (action) {
    event.preventDefault()
    action(row, target)
  } else if (new URL(target.href).pathname === location.pathname) {
    event.preventDefault()
    navigate(new URL(target.href).search || '?')
  }
}

function urlOf(row) {
  return new URL(row.dataset.url, location.href).href
}

function nameOf(row) {
  return row.querySelector('th bdi').textContent
}

function showPreview(row, link) {
  const name = nameOf(row)
  const view = document.createElement(link.dataset.kind === 'image' ? 'img' : 'iframe')
  if (link.dataset.kind === 'image') view.alt = name
  else view.title = name
  view.src = link.href
  preview.querySelector('bdi').textContent = name
  preview.querySelector('.view').replaceChildren(view)
  dialogs.open(preview)
}

async function confirmAndDelete(row) {
  const name = nameOf(row)
  confirmation.querySelector('bdi').textContent = name
  confirmation.returnValue = 'keep'
  dialogs.open(confirmation)
  await new Promise((resolve) => confirmation.addEventListener('close', resolve, { once: true }))
  if (confirmation.returnValue !== 'delete') return
  const failed = (reason) => messages.show(t('not-deleted', { name, reason }), { kind: 'bad' })
  const neighbour = (row.nextElementSibling ?? row.previousElementSibling)?.querySelector('[data-do=delete]')
  try {
    const response = await fetch(urlOf(row), { method: 'DELETE', headers: { Accept: 'application/problem+json' } })
    if (response.status === 401) {
      signedOut()
      return
    }
    if (!response.ok && response.status !== 404) {
      failed((await response.json()).detail)
      return
    }
    messages.show(t('deleted', { name }), { kind: 'good' })
    neighbour?.focus()
    await refresh()
  } catch {
    failed(t('server-unreachable'))
  }
}

// The list of stored files. The server renders it; this script fetches it again and replaces it, so
// that uploads go on while the user searches, sorts and changes the page. A page whose reader may not
// list files has no list.
import { announce } from './announce.js'
import * as format from './format.js'
import * as messages from './messages.js'
import { onSignedIn, signedOut } from './session.js'
import { t } from './text.js'

const REFRESH_INTERVAL = 10_000 // ms; shows what others have stored
const MIN_IDLE_FACTOR = 20 // the pause is at least so many times as long as the last refresh took
const TYPING_PAUSE = 150 // ms without a key before the server is asked
const NEWEST_FIRST = '?sort=-modified'

const actions = new Map() // value of data-do → what a click on it does
const listeners = [] // what is to be done when a list is shown
let section = document.getElementById('files')
let currentHtml = section?.outerHTML // as the server sent it
let currentTag = { url: '', etag: '' } // of the response that the list was in
let requestAborter = null
let typingTimer

export function start() {
  if (!section) return
  onShown()
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
}

// Have `act(row, element)` called for a click on an element of the list whose data-do is `name`.
export function handle(name, act) {
  actions.set(name, act)
}

// Have `listener()` called for each list that is shown, and for the one that is there.
export function whenShown(listener) {
  listeners.push(listener)
}

// The rows of the files that are shown.
export function rows() {
  return section ? [...section.querySelectorAll('tbody tr:not([hidden])')] : []
}

export function urlOf(row) {
  return new URL(row.dataset.url, location.href).href
}

export function nameOf(row) {
  return row.querySelector('th bdi').textContent
}

// Return what is the same for a part of the list when the list is shown again.
export function keyOf(part) {
  const row = part.closest('tbody tr')
  const key = part.dataset.key ?? part.dataset.do
  return row ? `${key} ${nameOf(row)}` : key
}

// Move the focus to the part of the list with a key, or to where the next Tab is useful.
export function focusOn(key) {
  const part = [...(section?.querySelectorAll('[data-key], [data-do]') ?? [])].find((part) => keyOf(part) === key)
  ;(part ?? section?.querySelector('#q') ?? document.getElementById('file'))?.focus({ preventScroll: true })
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

// Show the newest files first, unless the user has asked for other files or is at work in the list.
export async function showNewest() {
  if (!section) return
  const isAtWork = section.contains(document.activeElement) || section.querySelector('tbody :checked')
  if (location.search || isAtWork) await refresh()
  else await navigate(NEWEST_FIRST, { replace: true, announceResult: false })
}

function search() {
  const fields = new URLSearchParams(new FormData(document.getElementById('search')))
  if (!fields.get('q')) fields.delete('q')
  navigate(`?${fields}`, { replace: true })
}

// Show the list for a query string, and put that into the address bar.
function navigate(query, { replace = false, announceResult = true } = {}) {
  const url = new URL(query, location.href)
  if (url.search.length < 2) url.search = ''
  if (replace) history.replaceState(null, '', url)
  else history.pushState(null, '', url)
  return show(url.href, { announceResult })
}

async function show(url, { announceResult = false } = {}) {
  requestAborter?.abort()
  const aborter = (requestAborter = new AbortController())
  try {
    const headers = { Accept: 'text/html' }
    if (currentTag.url === url) headers['If-None-Match'] = currentTag.etag
    const response = await fetch(url, { headers, signal: aborter.signal })
    if (response.status === 401 || response.redirected) signedOut() // to the page for signing in
    if (!response.ok || response.redirected) return
    const html = await response.text()
    if (requestAborter !== aborter) return // a later request has begun
    // Not before the list has arrived: if it is aborted, what is shown is not what the tag stands for.
    currentTag = { url, etag: response.headers.get('ETag') ?? '' }
    if (!currentTag.etag) currentTag.url = ''
    const fetched = new DOMParser().parseFromString(html, 'text/html').getElementById('files')
    if (!fetched) {
      section.replaceChildren() // the reader may not list files any more
      currentHtml = ''
      return
    }
    if (fetched.outerHTML !== currentHtml) replaceSection(fetched)
    if (announceResult) announce(section.querySelector('nav p, .empty')?.textContent ?? '')
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
  onShown()
  if (focused === query) query?.focus({ preventScroll: true })
  else if (focused) focusOn(keyOf(focused))
}

function onShown() {
  for (const data of section.querySelectorAll('data')) data.textContent = format.size(Number(data.value))
  for (const time of section.querySelectorAll('time')) time.textContent = format.date(new Date(time.dateTime))
  for (const listener of listeners) listener()
}

function onClick(event) {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
  const target = event.target.closest('#files a, #files button')
  if (!target) return
  const act = actions.get(target.dataset.do)
  if (act) {
    event.preventDefault()
    act(target.closest('tr'), target)
  } else if (target.href && new URL(target.href).pathname === location.pathname) {
    event.preventDefault()
    navigate(new URL(target.href).search || '?')
  }
}

// The list of stored files. The server draws it; this asks for it anew and puts it in its place,
// so that uploads go on while one searches, sorts and turns pages.
import * as format from './format.js'
import { copy, say, warn } from './say.js'

const EVERY = 10_000 // ms between looks for what others have stored
const SHARE = 20 // and this many times as long as the last look took, at least
const TYPING = 150 // ms without a key before the server is asked

const preview = document.getElementById('preview')
const confirmation = document.getElementById('confirm')
let section = document.getElementById('files')
let shown = section.outerHTML // as the server sent it
let asking = null
let typing

export function start() {
  localise()
  document.addEventListener('click', click)
  document.addEventListener('input', (event) => {
    if (event.target.id !== 'q') return
    clearTimeout(typing)
    typing = setTimeout(search, TYPING)
  })
  document.addEventListener('submit', (event) => {
    if (event.target.id !== 'search') return
    event.preventDefault()
    clearTimeout(typing)
    search()
  })
  addEventListener('popstate', () => show(location.href, { found: true }))
  watch()
  document.addEventListener('visibilitychange', () => document.hidden || refresh())
  preview.addEventListener('close', () => preview.querySelector('.view').replaceChildren())
}

async function watch(pause = EVERY) {
  await new Promise((resolve) => setTimeout(resolve, pause))
  const began = performance.now()
  if (!document.hidden && !asking && !document.querySelector('dialog[open]')) await refresh()
  watch(Math.max(EVERY, SHARE * (performance.now() - began)))
}

// Show what is there now.
export function refresh() {
  return show(location.href)
}

function search() {
  const fields = new URLSearchParams(new FormData(document.getElementById('search')))
  if (!fields.get('q')) fields.delete('q')
  turn(`?${fields}`, { replace: true })
}

function turn(query, { replace = false } = {}) {
  const url = new URL(query, location.href)
  if (url.search.length < 2) url.search = ''
  if (replace) history.replaceState(null, '', url)
  else history.pushState(null, '', url)
  return show(url, { found: true })
}

async function show(url, { found = false } = {}) {
  asking?.abort()
  const aborter = (asking = new AbortController())
  try {
    const answer = await fetch(url, { headers: { Accept: 'text/html' }, signal: aborter.signal })
    if (!answer.ok) return
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById('files')
    if (fresh && fresh.outerHTML !== shown) replace(fresh)
    if (found) tellCount()
  } catch (error) {
    if (error.name !== 'AbortError' && found) warn('The list cannot be had just now.')
  } finally {
    if (asking === aborter) asking = null
  }
}

function replace(fresh) {
  shown = fresh.outerHTML
  const focused = section.contains(document.activeElement) ? document.activeElement : null
  const query = section.querySelector('#q')
  const next = document.importNode(fresh, true)
  const field = next.querySelector('#q')
  if (query && field) {
    // What is being typed stays, with its selection.
    next.querySelector('#search').replaceWith(query.form)
    const hidden = fresh.querySelector('#search [type=hidden]')
    query.form.querySelector('[type=hidden]')?.remove()
    if (hidden) query.form.append(document.importNode(hidden))
    if (focused !== query) query.value = field.value
  }
  section.replaceWith(next)
  section = next
  localise()
  if (!focused) return
  const again = focused === query ? query : [...section.querySelectorAll('[data-key]')].find(({ dataset }) => dataset.key === focused.dataset.key)
  ;(again ?? section.querySelector('#q') ?? document.getElementById('file')).focus({ preventScroll: true })
}

function tellCount() {
  const count = section.querySelectorAll('tbody tr').length
  const more = section.querySelector('[rel=next]') ? ', and there are more' : ''
  say(count === 1 ? '1 file is shown' : `${count} files are shown${more}`)
}

function localise() {
  for (const data of section.querySelectorAll('data')) data.textContent = format.size(Number(data.value))
  for (const time of section.querySelectorAll('time')) time.textContent = format.moment(new Date(time.dateTime))
}

function click(event) {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
  const target = event.target.closest('#files a, #files button')
  if (!target) return
  const file = target.closest('tr')?.querySelector('th a')
  const act = { preview: look, copy: () => copy(file.href, 'Link'), delete: remove }[target.dataset.do]
  if (act) {
    event.preventDefault()
    act(file, target)
  } else if (new URL(target.href).pathname === location.pathname) {
    event.preventDefault()
    turn(new URL(target.href).search || '?')
  }
}

function look(file, link) {
  const name = file.textContent
  const view = document.createElement(link.dataset.kind === 'image' ? 'img' : 'iframe')
  if (link.dataset.kind === 'image') view.alt = name
  else view.title = name
  view.src = link.href
  preview.querySelector('bdi').textContent = name
  preview.querySelector('.view').replaceChildren(view)
  preview.showModal()
}

async function remove(file) {
  const name = file.textContent
  confirmation.querySelector('bdi').textContent = name
  confirmation.returnValue = 'keep'
  confirmation.showModal()
  await new Promise((resolve) => confirmation.addEventListener('close', resolve, { once: true }))
  if (confirmation.returnValue !== 'delete') return
  const row = file.closest('tr')
  const neighbour = (row.nextElementSibling ?? row.previousElementSibling)?.querySelector('[data-do=delete]')
  try {
    const answer = await fetch(file.href, { method: 'DELETE', headers: { Accept: 'application/problem+json' } })
    if (!answer.ok && answer.status !== 404) {
      warn(`${name} is still there. ${(await answer.json()).detail}`)
      return
    }
    say(`${name} is deleted`)
    neighbour?.focus()
    await refresh()
  } catch {
    warn(`${name} is still there: the server cannot be reached.`)
  }
}

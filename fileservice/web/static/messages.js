// Messages that everybody gets: shown at the edge of the window for some seconds, and announced.
import { announce, announceError } from './announce.js'
import { button, element } from './elements.js'
import { t } from './text.js'

const SECONDS = 8 // for which a message stays; longer while it has the focus or the pointer
const MAX_SHOWN = 3

const box = document.getElementById('messages')
const hiders = new WeakMap() // message → the function that hides it
let cameFrom = null // the element that had the focus before the messages had it

// Show a message of the kind 'info', 'good' or 'bad'; a message of the kind 'bad' is announced at
// once. `action` is {label, act}: a button of the message, which is hidden when it is pressed.
// Returns a function that hides the message; `onHidden()` is called once, whatever hides it, and after
// `act()`.
export function show(text, { kind = 'info', action = null, seconds = SECONDS, onHidden = () => {} } = {}) {
  const message = element('div', { className: 'message' }, element('p', {}, text))
  message.dataset.kind = kind
  let timer
  const hide = () => {
    clearTimeout(timer)
    if (!message.isConnected) return
    const next = message.nextElementSibling ?? message.previousElementSibling
    const hadFocus = message.contains(document.activeElement)
    message.remove()
    if (hadFocus) (next?.querySelector('button') ?? cameFrom)?.focus()
    onHidden()
  }
  const start = () => {
    clearTimeout(timer)
    timer = setTimeout(hide, 1000 * seconds)
  }
  const actAndHide = () => {
    action.act()
    hide()
  }
  if (action) message.append(button(actAndHide, {}, action.label))
  message.append(button(hide, { ariaLabel: t('hide-message') }, '×'))
  for (const event of ['pointerenter', 'focusin']) message.addEventListener(event, () => clearTimeout(timer))
  for (const event of ['pointerleave', 'focusout']) message.addEventListener(event, start)
  message.addEventListener('focusin', ({ relatedTarget }) => {
    if (!box.contains(relatedTarget)) cameFrom = relatedTarget
  })
  hiders.set(message, hide)
  box.append(message)
  while (box.children.length > MAX_SHOWN) hiders.get(box.firstElementChild)()
  start()
  ;(kind === 'bad' ? announceError : announce)(text)
  return hide
}

// The clipboard.
import { announce } from './announce.js'

// Copy `text`, which is announced as `what`. Without TLS the page may not use the Clipboard API,
// and copies the text of a field instead.
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    const field = document.createElement('textarea')
    field.value = text
    field.readOnly = true
    field.className = 'visually-hidden'
    const parent = document.querySelector('dialog[open]') ?? document.body
    const focused = document.activeElement
    parent.append(field)
    field.select()
    document.execCommand('copy')
    field.remove()
    focused?.focus()
  }
  announce(`${what} copied`)
}

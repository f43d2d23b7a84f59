// The clipboard.
import { element } from './elements.js'
import { show } from './messages.js'
import { t } from './text.js'

// Copy `text`, and show that `what` is copied. Without TLS the page may not use the Clipboard API,
// and copies the text of a field instead.
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    const field = element('textarea', { value: text, readOnly: true, className: 'visually-hidden' })
    const parent = document.querySelector('dialog[open]') ?? document.body
    const focused = document.activeElement
    parent.append(field)
    field.select()
    document.execCommand('copy')
    field.remove()
    focused?.focus()
  }
  show(t('copied', { what }), { kind: 'good' })
}

// What screen readers are to hear: results and progress when they are done talking, refusals at once.

const polite = document.getElementById('status')
const urgent = document.getElementById('alert')

export function say(text) {
  polite.textContent = text
}

export function warn(text) {
  urgent.textContent = text
}

// Put text on the clipboard, also where the page has no right to it (it has none without TLS).
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    const field = document.createElement('textarea')
    field.value = text
    field.readOnly = true
    field.className = 'unseen'
    const dialog = document.querySelector('dialog[open]') ?? document.body
    const focused = document.activeElement
    dialog.append(field)
    field.select()
    document.execCommand('copy')
    field.remove()
    focused?.focus()
  }
  say(`${what} copied`)
}

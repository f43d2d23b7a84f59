// Modal dialogs. What is behind one can neither be used nor announced, so the messages move into it.

const live = document.getElementById('live')
const place = live.parentElement

export function open(dialog) {
  dialog.append(live)
  dialog.addEventListener('close', () => place.append(live), { once: true })
  dialog.showModal()
}

// Messages for screen readers, in the live regions of the page (WAI-ARIA 1.2).

const statusRegion = document.getElementById('status')
const alertRegion = document.getElementById('alert')

// Announce a result or progress, when the screen reader has finished what it is saying.
export function announce(text) {
  statusRegion.textContent = text
}

// Announce an error at once.
export function announceError(text) {
  alertRegion.textContent = text
}

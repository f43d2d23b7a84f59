// What happens when the user is signed out while the page is open: nothing is lost, and everything
// goes on when the user has signed in again in another tab.
import { announceError } from './announce.js'

const notice = document.getElementById('signed-out')
const channel = new BroadcastChannel('fileservice') // reaches the other tabs of this origin
const resumptions = []

channel.postMessage('opened') // by somebody who may see the page
channel.addEventListener('message', resume)
document.addEventListener('visibilitychange', () => document.hidden || resume())

// Show that the user is signed out.
export function signedOut() {
  if (!notice?.hidden) return
  notice.hidden = false
  announceError(notice.textContent)
}

// Have `resumption()` called when the user may have signed in again.
export function onSignedIn(resumption) {
  resumptions.push(resumption)
}

// If the user is still signed out, the next request finds that out.
function resume() {
  if (!notice || notice.hidden) return
  notice.hidden = true
  for (const resumption of resumptions) resumption()
}

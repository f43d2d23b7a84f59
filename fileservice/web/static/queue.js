// The uploads of the page, of which two run at the same time. It does not draw anything.
import { Names } from './names.js'
import { Transfer } from './transfer.js'
import { fingerprint } from './unfinished.js'

const MAX_RUNNING = 2

export class Queue {
  // `onChange(transfer)` is called whenever a transfer has changed, `onEnd(transfer)` when it has ended
  // or paused by itself.
  constructor(service, { onChange, onEnd }) {
    this.service = service
    this.onChange = onChange
    this.onEnd = onEnd
    this.transfers = []
    this.isLookingUp = false
  }

  get active() {
    return this.transfers.filter((transfer) => transfer.isActive)
  }

  // Return whether the same file is being uploaded already.
  has(file) {
    return this.active.some((transfer) => fingerprint(transfer.file) === fingerprint(file))
  }

  // Add an upload; `start` begins it.
  add(file, expires) {
    const names = new Names(this.service, (name) => this.#isReserved(name))
    const transfer = new Transfer(file, { service: this.service, names, expires, onChange: this.onChange })
    transfer.isNameReserved = this.#isReserved(transfer.name)
    this.transfers.push(transfer)
    return transfer
  }

  // Begin an upload again, as `Transfer.retry` does; `start` begins it.
  retry(transfer, options) {
    const isReserved = this.#isReserved(options?.name ?? transfer.name)
    transfer.retry(options)
    transfer.isNameReserved = isReserved
  }

  // Return whether a file that is being uploaded is to have a name.
  #isReserved(name) {
    return this.active.some((transfer) => transfer.name === name)
  }

  remove(transfer) {
    this.transfers = this.transfers.filter((other) => other !== transfer)
  }

  // Start transfers that wait, until as many run as may.
  start() {
    let free = MAX_RUNNING - this.transfers.filter(({ state }) => ['sending', 'retrying'].includes(state)).length
    for (const transfer of this.transfers.filter(({ state }) => state === 'waiting')) {
      if (free-- <= 0) break
      transfer.run().finally(() => this.#end(transfer))
    }
    this.#lookUp()
  }

  pauseAll() {
    for (const transfer of this.active) if (transfer.state !== 'paused') transfer.pause()
  }

  resumeAll({ onlySignedOut = false } = {}) {
    for (const transfer of this.active) {
      if (transfer.state === 'paused' && (transfer.isSignedOut || !onlySignedOut)) transfer.resume()
    }
    this.start()
  }

  #end(transfer) {
    this.onEnd(transfer)
    if (!transfer.isSignedOut) this.start() // the others would be refused as well
  }

  // Look up the names of the transfers that wait, one at a time, so that nobody learns only after the
  // upload of a large file that another name is needed.
  async #lookUp() {
    if (this.isLookingUp) return
    this.isLookingUp = true
    const seen = new Set()
    for (let next; (next = this.transfers.find((transfer) => transfer.state === 'waiting' && !seen.has(transfer))); ) {
      seen.add(next)
      try {
        await next.lookUp()
      } catch {
        break // each is looked up again when its turn comes
      }
    }
    this.isLookingUp = false
  }
}

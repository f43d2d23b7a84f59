// One file on its way up: which way it takes, and what state it is in. It draws nothing.
import { Refused, expect, persist, read, send } from './http.js'
import { forget, recall, remember } from './memory.js'
import { TusUpload } from './tus.js'

const SMALL = 8 * 1024 * 1024 // a file up to this size goes in one request
const WINDOW = 5000 // ms over which the rate is measured

class Stopped extends Error {}

// Addresses are relative to that of the page, whatever a proxy has put before it.
// States: waiting, sending, retrying, paused, and at the end done, refused or cancelled.
// `changed()` is called whenever anything about it is different.
export class Transfer {
  constructor(file, rules, changed) {
    this.file = file
    this.rules = rules
    this.changed = changed
    this.state = 'waiting'
    this.sent = 0
    this.reason = ''
    this.hopeless = false
    this.repeated = false
    this.sha256 = null
    this.samples = []
    this.tus = file.size > SMALL ? this.#resumable() : null
  }

  get active() {
    return ['waiting', 'sending', 'retrying', 'paused'].includes(this.state)
  }

  get url() {
    return `download/${encodeURIComponent(this.file.name.normalize('NFC'))}`
  }

  // Bytes a second of late; 0 while that is unknown.
  get rate() {
    const [first] = this.samples
    const last = this.samples.at(-1)
    return first && last.at > first.at ? (1000 * (last.sent - first.sent)) / (last.at - first.at) : 0
  }

  // Send it; returns when it has ended or was paused.
  async run() {
    this.aborter = new AbortController()
    const signal = this.aborter.signal
    this.#become('sending')
    try {
      await this.#precheck(signal)
      const answer = this.tus ? await this.tus.run(signal) : await this.#sendWhole(signal)
      this.sha256 = hexadecimal(answer.header('Repr-Digest'))
      this.#become('done')
    } catch (error) {
      if (error instanceof Stopped) return
      if (!(error instanceof Refused)) console.error(error)
      this.reason = error.message
      if (error.status === 409 && this.repeated) this.reason += ' It may be this one: an answer was lost.'
      this.hopeless = [0, 413, 415].includes(error.status) // it would be refused again
      this.#become('refused')
    }
    forget(this.file)
  }

  pause() {
    this.#stop('paused')
  }

  resume() {
    this.#become('waiting')
  }

  retry() {
    if (this.tus) this.tus = this.#resumable()
    this.resume()
  }

  cancel() {
    this.#stop('cancelled')
    forget(this.file)
    this.tus?.cancel().catch(() => {}) // else it expires
  }

  // Why the server would refuse it, as far as the page can know; null otherwise.
  static refusal(file, { maxSize, extensions, sizeText }) {
    const [, extension] = /[^.]\.([^.]+)$/.exec(file.name) ?? []
    if (!extension) return 'The name has no extension; give it the one that fits what is in the file.'
    if (!extensions.includes(extension.toLowerCase())) return `Files named .${extension} are not taken here.`
    return file.size > maxSize ? `It is larger than ${sizeText(maxSize)}.` : null
  }

  async #precheck(signal) {
    const refusal = Transfer.refusal(this.file, this.rules)
    if (refusal) throw new Refused(415, refusal)
    if (this.tus?.url) return
    const name = this.file.name.normalize('NFC')
    const query = new URLSearchParams({ prefix: name, limit: 1 })
    const answer = await persist(async () => expect(await send('GET', `download?${query}`, { signal }), 200), signal, this.#wait)
    if (JSON.parse(answer.text)[0]?.filename === name) {
      throw new Refused(409, 'There is a file of this name already. Delete that one, or rename yours.')
    }
  }

  #resumable() {
    return new TusUpload('tus/', this.file, {
      url: recall(this.file),
      reach: (url) => new URL(`tus/${url.pathname.split('/').at(-1)}`, location.href), // whatever name of the server it has
      onUrl: (url) => remember(this.file, url),
      onProgress: this.#progress,
      onWait: this.#wait,
    })
  }

  async #sendWhole(signal) {
    // With its digest, a request whose answer was lost can be sent again.
    const digest = crypto.subtle && new Uint8Array(await crypto.subtle.digest('SHA-256', await read(this.file)))
    const headers = digest ? { 'Repr-Digest': `sha-256=:${btoa(String.fromCharCode(...digest))}:` } : {}
    const url = `upload/${encodeURIComponent(this.file.name)}`
    const attempt = async () => expect(await send('PUT', url, { headers, body: this.file, signal, onProgress: this.#progress }), 200, 201)
    return persist(attempt, signal, this.#wait)
  }

  #progress = (sent) => {
    const now = performance.now()
    if (sent < this.sent || this.state !== 'sending') this.samples = []
    this.sent = sent
    this.samples.push({ at: now, sent })
    while (now - this.samples[0].at > WINDOW) this.samples.shift()
    this.#become('sending')
  }

  #wait = (_seconds, error) => {
    this.repeated = true
    this.reason = navigator.onLine ? error.message : 'there is no network'
    this.#become('retrying')
  }

  #stop(state) {
    this.#become(state)
    this.aborter?.abort(new Stopped())
  }

  #become(state) {
    this.state = state
    if (state !== 'sending') this.samples = []
    this.changed(this)
  }
}

function hexadecimal(reprDigest) {
  const [, base64] = /sha-256=:([^:]+):/.exec(reprDigest ?? '') ?? []
  return base64 ? Array.from(atob(base64), (byte) => byte.charCodeAt(0).toString(16).padStart(2, '0')).join('') : null
}

// The upload of one file: in one request or by tus, and its state. It does not draw anything.
import { RefusedError, expect, read, retry, send } from './http.js'
import { TusUpload } from './tus.js'
import * as unfinished from './unfinished.js'

const MAX_SINGLE_REQUEST = 8 * 1024 * 1024 // larger files are sent by tus
const RATE_WINDOW = 5000 // ms over which the rate is measured
const PERMANENT_STATUSES = [0, 413, 415] // the same file would be refused again

class StoppedError extends Error {}

// The state is waiting, sending, retrying or paused, and at the end done, refused or cancelled.
// `onChange()` is called whenever anything has changed. URLs are relative to that of the page, since
// a proxy may have put a path before it.
export class Transfer {
  constructor(file, limits, onChange) {
    this.file = file
    this.limits = limits
    this.onChange = onChange
    this.state = 'waiting'
    this.sent = 0
    this.reason = ''
    this.canRetry = true
    this.wasRepeated = false
    this.isSignedOut = false // whether that is why it is paused
    this.sha256 = null
    this.samples = []
    this.tus = file.size > MAX_SINGLE_REQUEST ? this.#tusUpload() : null
  }

  get isActive() {
    return ['waiting', 'sending', 'retrying', 'paused'].includes(this.state)
  }

  get url() {
    return `download/${encodeURIComponent(this.file.name.normalize('NFC'))}`
  }

  // Bytes a second, lately; 0 while that is unknown.
  get rate() {
    const [first] = this.samples
    const last = this.samples.at(-1)
    return first && last.time > first.time ? (1000 * (last.sent - first.sent)) / (last.time - first.time) : 0
  }

  // Send the file; returns when that has ended or was paused.
  async run() {
    this.aborter = new AbortController()
    const signal = this.aborter.signal
    this.#setState('sending')
    try {
      await this.#check(signal)
      const response = this.tus ? await this.tus.run(signal) : await this.#sendInOneRequest(signal)
      this.sha256 = hexadecimal(response.header('Repr-Digest'))
      this.#setState('done')
    } catch (error) {
      if (error instanceof StoppedError) return
      if (error.status === 401) {
        this.isSignedOut = true
        this.reason = 'sign in to continue'
        this.#setState('paused')
        return
      }
      if (!(error instanceof RefusedError)) console.error(error)
      this.reason = error.message
      if (error.status === 409 && this.wasRepeated) this.reason += ' It may be the one that you sent, since a response was lost.'
      this.canRetry = !PERMANENT_STATUSES.includes(error.status)
      this.#setState('refused')
    }
    unfinished.remove(this.file)
  }

  pause() {
    this.reason = ''
    this.#stop('paused')
  }

  resume() {
    this.isSignedOut = false
    this.#setState('waiting')
  }

  retry() {
    if (this.tus) this.tus = this.#tusUpload()
    this.resume()
  }

  cancel() {
    this.#stop('cancelled')
    unfinished.remove(this.file)
    this.tus?.cancel().catch(() => {}) // the upload then stays until it expires
  }

  // Return why the server would refuse a file, as far as the page knows; null otherwise.
  static reasonToRefuse(file, { maxSize, extensions, prefix, formatSize }) {
    if (!file.name.normalize('NFC').startsWith(prefix)) return `Its name does not begin with “${prefix}”.`
    const [, extension] = /[^.]\.([^.]+)$/.exec(file.name) ?? []
    if (!extension) return 'The name has no extension; give it the one that fits its content.'
    if (!extensions.includes(extension.toLowerCase())) return `Files with the extension .${extension} are not accepted here.`
    return file.size > maxSize ? `It is larger than ${formatSize(maxSize)}.` : null
  }

  // Throw RefusedError if the server would refuse the file, before any of it is sent.
  async #check(signal) {
    const reason = Transfer.reasonToRefuse(this.file, this.limits)
    if (reason) throw new RefusedError(415, reason)
    if (this.tus?.url || !this.limits.may.includes('list')) return
    const name = this.file.name.normalize('NFC')
    const query = new URLSearchParams({ prefix: name, limit: 1 })
    const response = await retry(async () => expect(await send('GET', `download?${query}`, { signal }), 200), signal, this.#onPause)
    if (JSON.parse(response.text)[0]?.filename === name) {
      const advice = this.limits.may.includes('delete') ? 'Delete it, or rename yours.' : 'Rename yours.'
      throw new RefusedError(409, `There is already a file with this name. ${advice}`)
    }
  }

  #tusUpload() {
    return new TusUpload('tus/', this.file, {
      url: unfinished.urlOf(this.file),
      // The server may give a host by which the browser does not reach it.
      toReachable: (url) => new URL(`tus/${url.pathname.split('/').at(-1)}`, location.href),
      onUrl: (url) => unfinished.save(this.file, url),
      onProgress: this.#onProgress,
      onPause: this.#onPause,
    })
  }

  async #sendInOneRequest(signal) {
    // With the digest, the request can be repeated if its response was lost.
    const digest = crypto.subtle && new Uint8Array(await crypto.subtle.digest('SHA-256', await read(this.file)))
    const headers = digest ? { 'Repr-Digest': `sha-256=:${btoa(String.fromCharCode(...digest))}:` } : {}
    const url = `upload/${encodeURIComponent(this.file.name)}`
    const attempt = async () => expect(await send('PUT', url, { headers, body: this.file, signal, onProgress: this.#onProgress }), 200, 201)
    return retry(attempt, signal, this.#onPause)
  }

  #onProgress = (sent) => {
    const now = performance.now()
    if (sent < this.sent || this.state !== 'sending') this.samples = []
    this.sent = sent
    this.samples.push({ time: now, sent })
    while (now - this.samples[0].time > RATE_WINDOW) this.samples.shift()
    this.#setState('sending')
  }

  #onPause = (_seconds, error) => {
    this.wasRepeated = true
    this.reason = navigator.onLine ? error.message : 'there is no network'
    this.#setState('retrying')
  }

  #stop(state) {
    this.#setState(state)
    this.aborter?.abort(new StoppedError())
  }

  #setState(state) {
    this.state = state
    if (state !== 'sending') this.samples = []
    this.onChange(this)
  }
}

function hexadecimal(reprDigest) {
  const [, base64] = /sha-256=:([^:]+):/.exec(reprDigest ?? '') ?? []
  return base64 ? Array.from(atob(base64), (byte) => byte.charCodeAt(0).toString(16).padStart(2, '0')).join('') : null
}

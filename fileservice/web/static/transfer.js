// The upload of one file: in one request or by tus, and its state. It does not draw anything.
import { RefusedError, expect, read, retry } from './http.js'
import { t } from './text.js'
import { TusUpload } from './tus.js'

const MAX_SINGLE_REQUEST = 8 * 1024 * 1024 // larger files are sent by tus
const RATE_WINDOW = 5000 // ms over which the rate is measured
const PERMANENT_STATUSES = [0, 413, 415] // the same file would be refused again

class StoppedError extends Error {}

// The state is waiting, sending, retrying or paused, and at the end done, refused or cancelled.
// `onChange()` is called whenever anything has changed. `names` knows which names are taken.
export class Transfer {
  constructor(file, { service, names, expires = '', onChange }) {
    const unfinished = service.unfinished.of(file)
    this.file = file
    this.service = service
    this.names = names
    this.expires = expires
    this.onChange = onChange
    this.name = unfinished?.name ?? service.nameOf(file)
    this.state = 'waiting'
    this.sent = 0
    this.wasRepeated = false
    this.isSignedOut = false // whether that is why it is paused
    this.sha256 = null
    this.replaces = null // the entity tag of the file that this one replaces
    this.isNameReserved = false // for another file that is being uploaded
    this.choices = null // if the name is taken: {otherName, version}, whatever is possible
    this.samples = []
    this.reason = service.reasonToRefuse(this.name, file.size) ?? ''
    this.canRetry = !this.reason
    if (this.reason) this.state = 'refused'
    this.tus = file.size > MAX_SINGLE_REQUEST ? this.#tusUpload(unfinished?.url) : null
  }

  get isActive() {
    return ['waiting', 'sending', 'retrying', 'paused'].includes(this.state)
  }

  get url() {
    return this.service.urlOfFile(this.name)
  }

  // Bytes a second, lately; 0 while that is unknown.
  get rate() {
    const [first] = this.samples
    const last = this.samples.at(-1)
    return first && last.time > first.time ? (1000 * (last.sent - first.sent)) / (last.time - first.time) : 0
  }

  // Refuse the transfer if its name is taken, as far as the reader may know, before its turn comes.
  async lookUp() {
    const isTaken = await this.#isTaken()
    if (isTaken && this.state === 'waiting') await this.#refuseAsTaken(t('refused-taken'))
  }

  // Send the file; returns when that has ended or was paused.
  async run() {
    this.aborter = new AbortController()
    const signal = this.aborter.signal
    this.#setState('sending')
    try {
      await this.service.ready() // a deletion may free the name
      if (await retry(() => this.#isTaken(), signal, this.#onPause)) throw new RefusedError(409, t('refused-taken'), 'name-taken')
      signal.throwIfAborted()
      const response = this.tus ? await this.tus.run(signal) : await this.#sendInOneRequest(signal)
      this.sha256 = hexadecimal(response.header('Repr-Digest'))
      this.sent = this.file.size
      this.#setState('done')
    } catch (error) {
      if (error instanceof StoppedError) return
      if (error.status === 401 && !this.service.isLink) {
        this.isSignedOut = true
        this.reason = t('upload-signed-out')
        this.#setState('paused')
        return
      }
      if (!(error instanceof RefusedError)) console.error(error)
      await this.#refuse(error)
    }
    this.service.unfinished.remove(this.file)
  }

  pause() {
    this.reason = ''
    this.#stop('paused')
  }

  resume() {
    this.isSignedOut = false
    this.#setState('waiting')
  }

  // Begin again: under another name, or in the place of the stored file that has an entity tag.
  retry({ name = this.name, replaces = null } = {}) {
    this.name = name
    this.replaces = replaces
    this.choices = null
    this.sent = 0
    this.lookup = null
    if (this.tus) this.tus = this.#tusUpload()
    this.resume()
  }

  cancel() {
    this.#stop('cancelled')
    this.service.unfinished.remove(this.file)
    this.tus?.cancel().catch(() => {}) // the upload then stays until it expires
  }

  // Return whether there is another file with the name. It is looked up once.
  #isTaken() {
    if (this.isNameReserved) return true
    if (this.tus?.url || this.replaces) return false
    this.lookup ??= this.names.isTaken(this.name).catch((error) => {
      this.lookup = null
      throw error
    })
    return this.lookup
  }

  async #refuse(error) {
    let reason = error.message
    if (error.status === 409 && this.wasRepeated) reason += ` ${t('refused-maybe-yours')}`
    if (error.status === 412 && this.replaces) reason = t('refused-changed')
    this.canRetry = !PERMANENT_STATUSES.includes(error.status)
    if (error.code === 'name-taken') await this.#refuseAsTaken(reason)
    else this.#setState('refused', reason)
  }

  async #refuseAsTaken(reason) {
    this.choices = {}
    this.#setState('refused', reason)
    const [otherName, version] = await Promise.all([this.names.freeName(this.name, this.file), this.names.versionOf(this.name)])
    this.choices = { otherName, version }
    this.onChange(this)
  }

  #tusUpload(url) {
    return new TusUpload(this.service.url('tus/'), this.file, {
      url,
      headers: this.service.headers,
      metadata: { filename: this.name, expires: this.expires, 'if-match': this.replaces },
      // The server may give a host by which the browser does not reach it.
      toReachable: (location) => new URL(this.service.url(`tus/${location.pathname.split('/').at(-1)}`)),
      onUrl: (created) => this.service.unfinished.save(this.file, this.name, created),
      onProgress: this.#onProgress,
      onPause: this.#onPause,
    })
  }

  async #sendInOneRequest(signal) {
    // With the digest, the request can be repeated if its response was lost.
    const digest = crypto.subtle && new Uint8Array(await crypto.subtle.digest('SHA-256', await read(this.file)))
    const headers = {
      ...(digest ? { 'Repr-Digest': `sha-256=:${btoa(String.fromCharCode(...digest))}:` } : {}),
      ...(this.replaces ? { 'If-Match': this.replaces } : {}),
    }
    const path = `upload/${encodeURIComponent(this.name)}${this.expires && `?${new URLSearchParams({ expires: this.expires })}`}`
    const attempt = async () => expect(await this.service.send('PUT', path, { headers, body: this.file, signal, onProgress: this.#onProgress }), 200, 201)
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
    this.#setState('retrying', navigator.onLine ? error.message : t('network-none'))
  }

  #stop(state) {
    this.#setState(state)
    this.aborter?.abort(new StoppedError())
  }

  #setState(state, reason = this.reason) {
    this.state = state
    this.reason = reason
    if (state !== 'sending') this.samples = []
    this.onChange(this)
  }
}

function hexadecimal(reprDigest) {
  const [, base64] = /sha-256=:([^:]+):/.exec(reprDigest ?? '') ?? []
  return base64 ? Array.from(atob(base64), (byte) => byte.charCodeAt(0).toString(16).padStart(2, '0')).join('') : null
}

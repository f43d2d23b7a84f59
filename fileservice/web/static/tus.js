// Resumable uploads by tus 1.0.0 (https://tus.io/protocols/resumable-upload), to any server.
import { Refused, expect, persist, send } from './http.js'

const VERSION = { 'Tus-Resumable': '1.0.0' }
const FIRST = 128 * 1024 // a wrong type shows in the first bytes: do not send many in vain
const CHUNK = 32 * 1024 * 1024

// Have a server forget an upload.
export function discard(url) {
  return send('DELETE', url, { headers: VERSION })
}

// One file on its way to the server at `endpoint`. `url` is that of an upload to be continued;
// `reach` turns the address that the server gives a new one into the one to be used.
export class TusUpload {
  constructor(endpoint, file, { url = null, reach = (url) => url, onUrl = () => {}, onProgress = () => {}, onWait = () => {} } = {}) {
    this.endpoint = new URL(endpoint, location.href)
    this.file = file
    this.url = url
    this.reach = reach
    this.onUrl = onUrl
    this.onProgress = onProgress
    this.onWait = onWait
  }

  // Send what the server does not have yet, through any number of interruptions. Gives the last
  // answer; raises Refused, or what `signal` was aborted with.
  run(signal) {
    return persist(() => this.#send(signal), signal, this.onWait)
  }

  async cancel() {
    if (this.url) await discard(this.url)
  }

  async #send(signal) {
    let { offset, answer } = (await this.#found(signal)) ?? (await this.#created(signal))
    while (offset < this.file.size) {
      this.onProgress(offset)
      const end = Math.min(this.file.size, offset + (offset ? CHUNK : FIRST))
      answer = await send('PATCH', this.url, {
        headers: { ...VERSION, 'Upload-Offset': offset, 'Content-Type': 'application/offset+octet-stream' },
        body: this.file.slice(offset, end),
        signal,
        onProgress: (sent) => this.onProgress(offset + sent),
      })
      if (answer.status === 409) {
        const found = await this.#found(signal) // after a lost answer it has more than we know
        if (found && found.offset !== offset) {
          ({ offset, answer } = found)
          continue
        }
      }
      offset = offsetOf(expect(answer, 204))
    }
    this.onProgress(offset)
    return answer
  }

  async #found(signal) {
    if (!this.url) return null
    const answer = await send('HEAD', this.url, { headers: VERSION, signal })
    if ([403, 404, 410].includes(answer.status)) return null // it has expired
    expect(answer, 200, 204)
    if (Number(answer.header('Upload-Length')) !== this.file.size) return null
    return { offset: offsetOf(answer), answer }
  }

  async #created(signal) {
    const answer = await send('POST', this.endpoint, {
      headers: { ...VERSION, 'Upload-Length': this.file.size, 'Upload-Metadata': `filename ${base64(this.file.name)}` },
      signal,
    })
    expect(answer, 201)
    this.url = this.reach(new URL(answer.header('Location'), this.endpoint)).href
    this.onUrl(this.url)
    return { offset: 0, answer }
  }
}

function offsetOf(answer) {
  const offset = answer.header('Upload-Offset')
  if (!/^\d+$/.test(offset)) throw new Refused(answer.status, 'the server does not say how much it has')
  return Number(offset)
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)))
}

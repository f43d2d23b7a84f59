// Resumable uploads by tus 1.0.0 (https://tus.io/protocols/resumable-upload), to any server.
import { RefusedError, expect, retry, send } from './http.js'

const VERSION = { 'Tus-Resumable': '1.0.0' }
const FIRST_CHUNK = 128 * 1024 // enough for the server to refuse content of another type
const CHUNK = 32 * 1024 * 1024

// Terminate an upload; `headers` are those of every request, such as Authorization.
export function terminate(url, headers = {}) {
  return send('DELETE', url, { headers: { ...VERSION, ...headers } })
}

// The upload of one file to the server at `endpoint`. `url` is that of an upload to resume;
// `toReachable` turns the URL that the server gives to a new upload into the one to use. `headers` are
// those of every request, and `metadata` is told when the upload is created.
export class TusUpload {
  constructor(endpoint, file, { url = null, headers = {}, metadata = { filename: file.name }, toReachable = (url) => url, onUrl = () => {}, onProgress = () => {}, onPause = () => {} } = {}) {
    this.endpoint = new URL(endpoint, location.href)
    this.file = file
    this.url = url
    this.headers = { ...VERSION, ...headers }
    this.metadata = metadata
    this.toReachable = toReachable
    this.onUrl = onUrl
    this.onProgress = onProgress
    this.onPause = onPause
  }

  // Send the bytes that the server does not have, however often the connection breaks. Returns the
  // last response; throws RefusedError, or the reason of `signal`.
  run(signal) {
    return retry(() => this.#send(signal), signal, this.onPause)
  }

  async cancel() {
    if (this.url) await terminate(this.url, this.headers)
  }

  async #send(signal) {
    let { offset, response } = (await this.#status(signal)) ?? (await this.#create(signal))
    while (offset < this.file.size) {
      this.onProgress(offset)
      const end = Math.min(this.file.size, offset + (offset ? CHUNK : FIRST_CHUNK))
      response = await send('PATCH', this.url, {
        headers: { ...this.headers, 'Upload-Offset': offset, 'Content-Type': 'application/offset+octet-stream' },
        body: this.file.slice(offset, end),
        signal,
        onProgress: (sent) => this.onProgress(offset + sent),
      })
      if (response.status === 409) {
        const current = await this.#status(signal) // a lost response may have had a later offset
        if (current && current.offset !== offset) {
          ({ offset, response } = current)
          continue
        }
      }
      offset = offsetOf(expect(response, 204))
    }
    this.onProgress(offset)
    return response
  }

  // Return {offset, response} of the upload to resume, null if there is none.
  async #status(signal) {
    if (!this.url) return null
    const response = await send('HEAD', this.url, { headers: this.headers, signal })
    if ([403, 404, 410].includes(response.status)) return null // it has expired
    expect(response, 200, 204)
    if (Number(response.header('Upload-Length')) !== this.file.size) return null
    return { offset: offsetOf(response), response }
  }

  async #create(signal) {
    const response = await send('POST', this.endpoint, {
      headers: { ...this.headers, 'Upload-Length': this.file.size, 'Upload-Metadata': metadataField(this.metadata) },
      signal,
    })
    expect(response, 201)
    this.url = this.toReachable(new URL(response.header('Location'), this.endpoint)).href
    this.onUrl(this.url)
    return { offset: 0, response }
  }
}

function offsetOf(response) {
  const offset = response.header('Upload-Offset')
  if (!/^\d+$/.test(offset)) throw new RefusedError(response.status, 'the server did not return the offset of the upload')
  return Number(offset)
}

// Return the value of Upload-Metadata; what is empty is left out.
function metadataField(metadata) {
  return Object.entries(metadata).filter(([, value]) => value).map(([key, value]) => `${key} ${base64(value)}`).join(',')
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)))
}

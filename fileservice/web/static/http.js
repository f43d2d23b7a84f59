// HTTP requests that report progress: XMLHttpRequest, since fetch does not report that of an upload.
import { sentence, t } from './text.js'

// The server refused the request, and would refuse it again.
export class RefusedError extends Error {
  constructor(status, message, code = '') {
    super(message)
    this.status = status
    this.code = code // of the problem
  }
}

// The connection broke, or the server is busy: the request can be sent again.
export class InterruptedError extends Error {
  constructor(message, retryAfter = 0) {
    super(message)
    this.retryAfter = retryAfter
  }
}

const PROGRESS_TIMEOUT = 45_000 // ms without progress
const RESPONSE_TIMEOUT = 600_000 // ms from the last byte to the response: a large file is verified
const RETRIED_STATUSES = [408, 423, 425, 429, 500, 502, 503, 504]
const MAX_PAUSE = 15 // seconds between attempts
const LONG_ATTEMPT = 10_000 // ms; an attempt that lasted longer made progress

// Send a request. Returns {status, header(name), text} for any status; throws InterruptedError.
export function send(method, url, { headers = {}, body = null, signal, onProgress = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const request = new XMLHttpRequest()
    const over = new AbortController()
    const untilOver = { signal: over.signal }
    let timer
    const restartTimer = (timeout) => {
      clearTimeout(timer)
      timer = setTimeout(() => fail(new InterruptedError(t('network-silent'))), timeout)
    }
    const fail = (error) => {
      cleanUp()
      request.abort()
      reject(error)
    }
    const cleanUp = () => {
      clearTimeout(timer)
      over.abort()
    }
    // The timer would notice a dead connection much later.
    addEventListener('offline', () => fail(new InterruptedError(t('network-none'))), untilOver)
    signal?.addEventListener('abort', () => fail(signal.reason), untilOver)
    request.upload.onprogress = (event) => {
      restartTimer(PROGRESS_TIMEOUT)
      onProgress(event.loaded)
    }
    request.upload.onload = () => restartTimer(RESPONSE_TIMEOUT)
    request.onerror = async () => fail(await causeOfFailure(body))
    request.onload = () => {
      cleanUp()
      resolve({
        status: request.status,
        header: (name) => request.getResponseHeader(name),
        text: request.responseText,
      })
    }
    request.open(method, url)
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value)
    request.send(body)
    restartTimer(PROGRESS_TIMEOUT)
  })
}

// Browsers report a file that they cannot read and a broken connection in the same way.
async function causeOfFailure(body) {
  try {
    if (body) await read(body.slice(0, 1))
    return new InterruptedError(t('network-lost'))
  } catch (error) {
    return error
  }
}

// Return the bytes of a file or of a part of it. Throws RefusedError.
export async function read(blob) {
  try {
    return await blob.arrayBuffer()
  } catch {
    throw new RefusedError(0, t('refused-unreadable'))
  }
}

// Return the response if it has one of these statuses. Throws RefusedError or InterruptedError.
export function expect(response, ...statuses) {
  if (statuses.includes(response.status)) return response
  const { detail, code } = problemOf(response)
  if (RETRIED_STATUSES.includes(response.status)) {
    throw new InterruptedError(detail, Number(response.header('Retry-After')) || 0)
  }
  throw new RefusedError(response.status, detail, code)
}

// Return {detail, code} of a problem (RFC 9457), with the detail as a sentence.
function problemOf(response) {
  try {
    const { detail, code } = JSON.parse(response.text)
    return { detail: sentence(detail), code }
  } catch {
    return { detail: response.text || t('network-status', { status: response.status }), code: '' }
  }
}

// Call `attempt` until it does not throw InterruptedError; call `onPause(seconds, error)` before
// each pause.
export async function retry(attempt, signal, onPause) {
  for (let failures = 0; ; failures++) {
    const start = performance.now()
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof InterruptedError)) throw error
      if (performance.now() - start > LONG_ATTEMPT) failures = 0
      const seconds = Math.max(error.retryAfter, Math.min(0.5 * 2 ** failures, MAX_PAUSE))
      onPause(seconds, error)
      await pause(seconds, signal)
    }
  }
}

// Wait for so many seconds, or until the network is back. Throws the reason of `signal`.
async function pause(seconds, signal) {
  const over = new AbortController()
  const untilOver = { signal: over.signal }
  await new Promise((resolve) => {
    setTimeout(resolve, 1000 * seconds)
    addEventListener('online', resolve, untilOver)
    signal.addEventListener('abort', resolve, untilOver)
  })
  over.abort()
  signal.throwIfAborted()
}

// Requests whose progress can be seen: XMLHttpRequest, since fetch tells nothing of an upload.

// The server did not take it, and would not if it were sent again.
export class Refused extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

// The connection broke, or the server has no time just now: worth another try.
export class Interrupted extends Error {
  constructor(message, retryAfter = 0) {
    super(message)
    this.retryAfter = retryAfter
  }
}

const UNREADABLE = 'The file was changed, moved or deleted. Choose it again.'
const STALL = 45_000 // ms in which nothing moves
const LAST_WORD = 600_000 // ms that the answer may take once all is sent: a large file is checked
const TRY_AGAIN = [408, 423, 425, 429, 500, 502, 503, 504]

// Send a request. Gives {status, header(name), text}, whatever the status; raises Interrupted.
export function send(method, url, { headers = {}, body = null, signal, onProgress = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const request = new XMLHttpRequest()
    let timer
    const watch = (patience) => {
      clearTimeout(timer)
      timer = setTimeout(() => fail(new Interrupted('nothing moved for a while')), patience)
    }
    const abort = () => fail(signal.reason)
    const offline = () => fail(new Interrupted('there is no network'))
    const fail = (error) => {
      end()
      request.abort()
      reject(error)
    }
    const end = () => {
      clearTimeout(timer)
      removeEventListener('offline', offline)
      signal?.removeEventListener('abort', abort)
    }
    addEventListener('offline', offline) // a dead connection would be noticed much later
    signal?.addEventListener('abort', abort)
    request.upload.onprogress = (event) => {
      watch(STALL)
      onProgress(event.loaded)
    }
    request.upload.onload = () => watch(LAST_WORD)
    request.onerror = async () => fail(await whyItBroke(body))
    request.onload = () => {
      end()
      resolve({
        status: request.status,
        header: (name) => request.getResponseHeader(name),
        text: request.responseText,
      })
    }
    request.open(method, url)
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value)
    request.send(body)
    watch(STALL)
  })
}

async function whyItBroke(body) {
  try {
    if (body) await read(body.slice(0, 1))
    return new Interrupted('the connection is lost')
  } catch (error) {
    return error
  }
}

// The bytes of a file or of a part of it. Raises Refused.
export async function read(blob) {
  try {
    return await blob.arrayBuffer()
  } catch {
    throw new Refused(0, UNREADABLE)
  }
}

// The answer, if it has one of these statuses. Raises Refused, with the reason, or Interrupted.
export function expect(answer, ...statuses) {
  if (statuses.includes(answer.status)) return answer
  const reason = explained(answer)
  if (TRY_AGAIN.includes(answer.status)) {
    throw new Interrupted(reason, Number(answer.header('Retry-After')) || 0)
  }
  throw new Refused(answer.status, reason)
}

function explained(answer) {
  try {
    const { detail } = JSON.parse(answer.text)
    return detail[0].toUpperCase() + detail.slice(1)
  } catch {
    return answer.text || `The server answered ${answer.status}.`
  }
}

// Do it until it is not interrupted any more; `onWait(seconds, error)` is told of each pause.
export async function persist(attempt, signal, onWait) {
  for (let failures = 0; ; failures++) {
    const before = performance.now()
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error
      if (performance.now() - before > 10_000) failures = 0
      const seconds = Math.max(error.retryAfter, Math.min(0.5 * 2 ** failures, 15))
      onWait(seconds, error)
      await pause(seconds, signal)
    }
  }
}

// So many seconds, fewer if the network comes back meanwhile. Raises what `signal` was aborted with.
function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const end = (then) => () => {
      clearTimeout(timer)
      removeEventListener('online', online)
      signal.removeEventListener('abort', abort)
      then()
    }
    const online = end(resolve)
    const abort = end(() => reject(signal.reason))
    const timer = setTimeout(online, 1000 * seconds)
    addEventListener('online', online)
    signal.addEventListener('abort', abort)
  })
}

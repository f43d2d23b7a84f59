// Uploads one file with tus-js-client, and prints what became of it as one line of JSON.
import fs from 'node:fs'
import http from 'node:http'
import { PassThrough } from 'node:stream'
import { parseArgs } from 'node:util'
import tus from 'tus-js-client'

const { values: given } = parseArgs({
  options: {
    file: { type: 'string' },
    name: { type: 'string' },
    endpoint: { type: 'string' },
    url: { type: 'string' }, // of an upload that exists, to be continued
    'chunk-size': { type: 'string', default: 'Infinity' },
    'retry-delays': { type: 'string', default: '' }, // milliseconds, with commas between
    'parallel-uploads': { type: 'string', default: '1' },
    'give-up-after': { type: 'string', default: '0' }, // milliseconds of silence on a connection
    'with-creation': { type: 'boolean', default: false },
    'deferred-length': { type: 'boolean', default: false },
    'override-method': { type: 'boolean', default: false },
  },
})

// A connection in which nothing moves is given up, as a person or a phone would.
const silence = Number(given['give-up-after'])
class Agent extends http.Agent {
  createConnection(options, connected) {
    const socket = super.createConnection(options, connected)
    socket.on('timeout', () => socket.destroy(new Error(`nothing moved for ${silence} ms`)))
    return socket
  }
}
const agent = new Agent({ keepAlive: true, timeout: silence })

const answers = []
function tell(result) {
  process.stdout.write(`${JSON.stringify({ url: upload.url, answers, ...result })}\n`)
  agent.destroy()
}

const file = fs.createReadStream(given.file)
const source = given['deferred-length'] ? file.pipe(new PassThrough()) : file
const upload = new tus.Upload(source, {
  endpoint: given.endpoint,
  uploadUrl: given.url,
  metadata: { filename: given.name },
  chunkSize: Number(given['chunk-size']),
  retryDelays: given['retry-delays'].split(',').filter(Boolean).map(Number),
  parallelUploads: Number(given['parallel-uploads']),
  uploadDataDuringCreation: given['with-creation'],
  uploadLengthDeferred: given['deferred-length'],
  overridePatchMethod: given['override-method'],
  storeFingerprintForResuming: false,
  httpStack: new tus.DefaultHttpStack({ agent }),
  onAfterResponse: (request, response) => {
    answers.push(`${request.getMethod()} ${response.getStatus()}`)
  },
  onSuccess: () => tell({ done: true }),
  onError: (error) =>
    tell({
      done: false,
      error: String(error),
      status: error.originalResponse?.getStatus() ?? null,
      body: error.originalResponse?.getBody() ?? null,
    }),
})
upload.start()

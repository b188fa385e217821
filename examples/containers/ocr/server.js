import { createServer } from 'node:http'
import { createQueue } from './queue.js'
import { loadRecognition } from './recognition.js'
import { Refusal } from './refusal.js'
import { describeResources, supportsModel } from './resources.js'

/** A picture of 12 MiB is 16 MiB as base64. */
const maxBodyBytes = 16 * 1024 * 1024

const queue = createQueue({ waiting: Number(process.env.OCR_WAITING ?? 16) })

/** Absent until the model is loaded. */
let recognise

const routes = {
  'GET /': async () => ({ message: 'Send a picture to POST /service_output as {"image": "<base64>"}' }),
  'GET /health': async () => {
    requireModel()
    return { status: 'healthy' }
  },
  'GET /service-resources': async request => {
    const wanted = new URLSearchParams(request.url.split('?')[1]).get('model_id')
    return wanted ? supportsModel(wanted) : describeResources()
  },
  'POST /service_output': async (request, signal) => {
    requireModel()
    const image = parseInput(await readBody(request))
    return await queue.run(() => recognise(image), signal)
  },
}

const server = createServer({ requestTimeout: 60_000 }, async (request, response) => {
  const left = new AbortController()
  response.once('close', () => left.abort())
  const { status, body } = await answer(request, left.signal)
  if (body === undefined) return response.destroy()
  const text = `${JSON.stringify(body)}\n`
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
  response.writeHead(status, status === 503 ? { ...headers, 'retry-after': '1' } : headers).end(text)
})

async function answer(request, signal) {
  try {
    return { status: 200, body: await route(request)(request, signal) }
  } catch (error) {
    if (signal.aborted || request.errored) return {}
    if (error instanceof Refusal) return { status: error.status, body: error }
    console.error(error)
    return { status: 500, body: new Refusal(500, 'the picture could not be read') }
  }
}

function route({ method, url }) {
  const [path] = url.split('?')
  const handler = routes[`${method} ${path}`]
  if (handler) return handler
  const known = Object.keys(routes).some(key => key.endsWith(` ${path}`))
  throw known
    ? new Refusal(405, `${method} is not offered at ${path}`)
    : new Refusal(404, `nothing is at ${path}`)
}

function requireModel() {
  if (!recognise) throw new Refusal(503, 'the model is still loading')
}

/** Reads to the end even when the body is too large: a client that is cut off while it sends never sees the answer. */
async function readBody(request) {
  const chunks = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes <= maxBodyBytes) chunks.push(chunk)
    else chunks.length = 0
  }
  if (bytes > maxBodyBytes) throw new Refusal(413, `the body is larger than ${maxBodyBytes} bytes`)
  return Buffer.concat(chunks).toString('utf8')
}

/** @returns the base64 text of the picture */
function parseInput(text) {
  const input = parseJson(text)
  if (input?.source === 0 && typeof input.data === 'string') {
    throw new Refusal(400, 'on-chain input is not supported: a picture does not fit into a transaction')
  }
  if (input?.requires_proof === true) throw new Refusal(400, 'proofs are not supported')
  if (typeof input?.data !== 'object' || input.data === null) throw new Refusal(400, 'data must be an object')
  return input.data.image
}

function parseJson(text) {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Refusal(400, 'the body is not JSON', { cause })
  }
}

// As the first process of a container Node gets no default action for these signals.
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(0))

const port = Number(process.env.PORT ?? 3000)
server.listen(port, process.env.HOST ?? '0.0.0.0', () => console.log(`ocr: listening on ${port}`))

recognise = await loadRecognition()
console.log('ocr: model loaded')

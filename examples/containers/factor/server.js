import { createServer } from 'node:http'

const maxBodyBytes = 1024 * 1024

const server = createServer({ requestTimeout: 60_000 }, async (request, response) => {
  const { status, body } = await answer(request).catch(() => ({}))
  // Only reading the body can fail, and it fails when the client is gone.
  if (status === undefined) return response.destroy()
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
})

async function answer(request) {
  const [path, query] = request.url.split('?')
  switch (`${request.method} ${path}`) {
    case 'GET /health':
      return { status: 200, body: { status: 'healthy' } }
    case 'GET /service-resources':
      return { status: 200, body: resources(new URLSearchParams(query)) }
    case 'POST /service_output':
      return await findFactor(request)
    default:
      return refuse(404, 'Not Found', `nothing is at ${request.method} ${path}`)
  }
}

function resources(query) {
  if (query.get('model_id')) return { supported: false, error: 'factor runs no model' }
  return { version: '0.1.0', service_id: 'factor', hardware_capabilities: [], compute_capability: [] }
}

async function findFactor(request) {
  const text = await readBody(request)
  if (text === undefined) {
    return refuse(413, 'Content Too Large', `the body is larger than ${maxBodyBytes} bytes`)
  }
  const number = numberOf(text)
  if (number === undefined) {
    return refuse(400, 'Bad Request', `data is not a number from 4 to ${mostNumber} as a word in hex`)
  }
  const factor = factorOf(number)
  if (factor === undefined) return refuse(422, 'Unprocessable Content', `${number} is a prime`)
  const [question, answer] = [number, factor].map(inWord)
  // Whoever checks it sees the answer's hash, and so has to be told what was asked and answered.
  return { status: 200, body: inWords(question, answer, question + answer) }
}

/** Some milliseconds of division at most. */
const mostNumber = 2 ** 44

/** `abi.encode(uint256)`, in hex. Undefined: it is no such number. */
function numberOf(text) {
  try {
    const { data } = JSON.parse(text)
    if (typeof data !== 'string' || !/^[0-9a-f]{64}$/i.test(data)) return undefined
    const number = BigInt(`0x${data}`)
    return number < 4n || number > BigInt(mostNumber) ? undefined : Number(number)
  } catch {
    return undefined
  }
}

/** The smallest but 1; undefined: there is none. */
function factorOf(number) {
  for (let factor = 2; factor * factor <= number; factor++) if (number % factor === 0) return factor
  return undefined
}

function inWord(number) {
  return number.toString(16).padStart(64, '0')
}

/** The five keys that reach a contract as bytes: hex without 0x. */
function inWords(input, output, proof) {
  return { raw_input: input, processed_input: '', raw_output: output, processed_output: '', proof }
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
  return bytes <= maxBodyBytes ? Buffer.concat(chunks).toString('utf8') : undefined
}

function refuse(status, name, description) {
  return { status, body: { code: String(status), name, description } }
}

// As the first process of a container Node gets no default action for these signals.
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(0))

const port = Number(process.env.PORT ?? 3000)
server.listen(port, process.env.HOST ?? '0.0.0.0', () => console.log(`factor: listening on ${port}`))

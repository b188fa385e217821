import { createServer } from 'node:http'

const maxBodyBytes = 16 * 1024 * 1024

const server = createServer({ requestTimeout: 60_000 }, async (request, response) => {
  const reply = await answer(request).catch(error => ({ error }))
  // Only reading the body can fail, and it fails when the client is gone.
  if (reply.error) return response.destroy()
  const { status, body } = reply
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
    case 'GET /':
      return { status: 200, body: { message: 'hello, world!' } }
    case 'GET /health':
      return { status: 200, body: { status: 'healthy' } }
    case 'GET /service-resources':
      return { status: 200, body: resources(new URLSearchParams(query)) }
    case 'POST /service_output':
      return await greet(request)
    default:
      return refuse(404, 'Not Found', `nothing is at ${request.method} ${path}`)
  }
}

function resources(query) {
  if (query.get('model_id')) return { supported: false, error: 'hello-world runs no model' }
  return { version: '0.1.0', service_id: 'hello-world', hardware_capabilities: [], compute_capability: [] }
}

async function greet(request) {
  const text = await readBody(request)
  if (text === undefined) {
    return refuse(413, 'Content Too Large', `the body is larger than ${maxBodyBytes} bytes`)
  }
  try {
    JSON.parse(text)
  } catch (error) {
    return refuse(400, 'Bad Request', `the body is not JSON: ${error.message}`)
  }
  return { status: 200, body: { output: `hello, world!, your input was: ${compact(text)}` } }
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

/** JSON without its white space. Works on the text, so that integers beyond 2^53 come back as they were sent. */
function compact(json) {
  return json.replace(/("(?:[^"\\]|\\.)*")|\s+/g, '$1')
}

function refuse(status, name, description) {
  return { status, body: { code: String(status), name, description } }
}

// As the first process of a container Node gets no default action for these signals.
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(0))

const port = Number(process.env.PORT ?? 3000)
server.listen(port, process.env.HOST ?? '0.0.0.0', () => console.log(`hello-world: listening on ${port}`))

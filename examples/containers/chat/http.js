import { Refusal } from './refusal.js'

const maxBodyBytes = 1024 * 1024

/** Reads to the end even when the body is too large: a client that is cut off while it sends never sees the answer. */
export async function readJson(request) {
  const chunks = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes <= maxBodyBytes) chunks.push(chunk)
    else chunks.length = 0
  }
  if (bytes > maxBodyBytes) throw new Refusal(413, `the body is larger than ${maxBodyBytes} bytes`)
  const body = parse(Buffer.concat(chunks).toString('utf8'))
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Refusal(400, 'the body must be a JSON object')
  }
  return body
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Refusal(400, 'the body is not JSON', { cause })
  }
}

export function sendJson(response, status, body) {
  const text = `${JSON.stringify(body)}\n`
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
  response.writeHead(status, status === 503 ? { ...headers, 'retry-after': '1' } : headers).end(text)
}

/** The status and headers go out at once, before there is a first token. */
export function openStream(response, contentType) {
  response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' })
  response.flushHeaders()
}

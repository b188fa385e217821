import type { IncomingMessage, ServerResponse } from 'node:http'
import { readBody } from './body.ts'
import { ProtocolError, wireError } from './error.ts'
import type { Service } from './service.ts'

export type HandlerOptions = {
  service: Service
  isAuthorized: (header: string | undefined) => boolean
  /** False once the server is closing: connections then end with their current response. */
  isOpen: () => boolean
  bodyBytes: number
}

type Reply = { status: number; type: 'application/json' | 'text/plain'; text: string }

const TEXTS: Record<string, string> = {
  '/health': '',
  '/version': 'infernet-edge local libSQL server',
  '/v2': 'Hello, this is HTTP API v2 (Hrana over HTTP)',
  '/v3': 'Hello, this is HTTP API v3 (Hrana over HTTP)',
}

export function createHandler(options: HandlerOptions) {
  return async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reply = await answer(request, options)
    // What is still coming of a refused body must not be taken for the next request.
    if (!request.complete || !options.isOpen()) response.shouldKeepAlive = false
    const length = Buffer.byteLength(reply.text)
    response.writeHead(reply.status, { 'content-type': reply.type, 'content-length': length })
    response.end(reply.text)
    request.resume()
  }
}

async function answer(request: IncomingMessage, options: HandlerOptions): Promise<Reply> {
  try {
    return await route(request, options)
  } catch (error) {
    return failure(error)
  }
}

async function route(request: IncomingMessage, options: HandlerOptions): Promise<Reply> {
  const version = request.url === '/v2/pipeline' ? 2 : request.url === '/v3/pipeline' ? 3 : undefined
  if (version === undefined) return greeting(request)
  if (request.method !== 'POST') throw new ProtocolError('Use POST here', 'METHOD_NOT_ALLOWED', 405)
  if (!options.isAuthorized(request.headers.authorization)) {
    throw new ProtocolError('The bearer token is missing or wrong', 'UNAUTHORIZED', 401)
  }
  const body = await readBody(request, options.bodyBytes)
  return json(200, await options.service.pipeline(body, version))
}

function greeting(request: IncomingMessage): Reply {
  const text = TEXTS[request.url ?? '']
  if (text === undefined) throw new ProtocolError('No such endpoint', 'NOT_FOUND', 404)
  if (request.method !== 'GET') throw new ProtocolError('Use GET here', 'METHOD_NOT_ALLOWED', 405)
  return { status: 200, type: 'text/plain', text }
}

// The client reads an error body only when the type is exactly this, without a charset.
function json(status: number, body: unknown): Reply {
  return { status, type: 'application/json', text: JSON.stringify(body) }
}

function failure(error: unknown): Reply {
  if (error instanceof ProtocolError) return json(error.status, wireError(error))
  console.error('libsql:', error)
  return json(500, { message: 'The server failed to run the request', code: 'INTERNAL_ERROR' })
}

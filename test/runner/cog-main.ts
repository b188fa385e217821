import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

/**
 * A container as Cog builds it, as far as its HTTP API tells (docs/http.md of Cog), in a process of its own. `POST /control` sets how it
 * is; `GET /control` tells what it was asked. The input says what a prediction does.
 */
type Input = {
  say?: unknown
  fail?: string
  hang?: boolean
  pad?: number
  stream?: unknown[]
  /** An event of 24 MiB: one line of data, or many. */
  flood?: 'line' | 'lines'
  end?: 'succeeded' | 'failed' | 'canceled' | 'cut'
}
type Asked = { method: string; path: string; accept: string; body: string; authorization: string }

const state = { status: 'READY', logs: '', streams: true }
const asked: Asked[] = []
const running = new Map<string, (status: string) => void>()

function answer(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) body += chunk
  return body
}

function health(response: ServerResponse): void {
  const { status, logs } = state
  answer(response, { status, setup: { status: 'failed', logs }, version: { coglet: '0.21.0' } })
}

async function predict(request: IncomingMessage, response: ServerResponse, body: string): Promise<void> {
  const { id, input } = JSON.parse(body) as { id: string; input: unknown }
  if (typeof input !== 'object' || input === null)
    return answer(response, { detail: 'input: not an object' }, 422)
  const wish = input as Input
  if (wish.hang) {
    const status = await new Promise<string>(resolve => running.set(id, resolve))
    return answer(response, { id, status })
  }
  const isStream = request.headers.accept === 'text/event-stream'
  if (isStream && !state.streams) return answer(response, { detail: 'Not Acceptable' }, 406)
  if (isStream) return await stream(response, wish)
  if (wish.fail !== undefined) return answer(response, { id, status: 'failed', error: wish.fail, logs: 'x' })
  // As it stands in the request, so that numbers are not ours to change.
  const output = /"say": *([\s\S]*?)(?:, *"pad"[\s\S]*)?\}\}$/.exec(body)?.[1] ?? 'null'
  const padding = 'y'.repeat(wish.pad ?? 0)
  response.setHeader('content-type', 'application/json')
  response.end(
    `{"id":"${id}","logs":"${padding}","output": ${output} ,"input":{"output":1},"status":"succeeded"}`,
  )
}

async function stream(
  response: ServerResponse,
  { stream: chunks = [], flood, end = 'succeeded' }: Input,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const event = (name: string, data: unknown) => {
    // In two pieces, as a network might.
    const text = `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
    const bytes = Buffer.from(text)
    response.write(bytes.subarray(0, bytes.length - 5))
    response.write(bytes.subarray(bytes.length - 5))
  }
  event('start', { status: 'processing' })
  for (const [index, chunk] of chunks.entries()) {
    event('log', { source: 'stdout', data: 'noise' })
    event('output', { chunk, index })
  }
  const mib = 1024 * 1024
  if (flood === 'line') response.write(`event: output\ndata: ${'x'.repeat(24 * mib)}\n\n`)
  if (flood === 'lines') response.write(`event: log\n${`data: ${'x'.repeat(1018)}\n`.repeat(24 * 1024)}\n`)
  if (end === 'cut') event('error', { detail: 'replay buffer' })
  else
    event('completed', { status: end, output: chunks, ...(end === 'failed' && { error: 'out of memory' }) })
  response.end()
}

const server = createServer(async (request, response) => {
  const { method = '', url: path = '', headers } = request
  const body = await bodyOf(request)
  if (path === '/control') {
    if (method === 'POST') Object.assign(state, JSON.parse(body))
    return answer(response, asked)
  }
  const { accept = '', authorization = '' } = headers
  asked.push({ method, path, accept, body, authorization })
  if (path === '/health-check') return health(response)
  if (path === '/predictions') return await predict(request, response, body)
  const [, , id = '', verb] = path.split('/')
  if (verb === 'cancel' && running.has(id)) {
    running.get(id)?.('canceled')
    running.delete(id)
    return answer(response, {})
  }
  answer(response, { detail: 'Not Found' }, 404)
})
server.listen(Number(process.argv[2] ?? 5000), '127.0.0.1', () => {
  const address = server.address()
  console.log(`listens on ${typeof address === 'object' ? address?.port : ''}`)
})

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'

/**
 * HTTP by hand, since every client mends what goes out: targets with dots and NULs, bodies of a GET, bodies that stop half-way, chunks
 * that are none.
 */
export type WireRequest = {
  method: string
  /** As it stands in the request line. */
  target: string
  headers: readonly (readonly [name: string, value: string])[]
  body: Uint8Array
  /** `none`: whatever of a body there is comes unannounced, as the headers say. */
  framing: 'length' | 'chunked' | 'none'
}

export type WireResponse = { status: number; headers: Headers; text: string }

/** What goes over the wire, a piece for each write. */
export function piecesOf({ method, target, headers, body, framing }: WireRequest): Uint8Array[] {
  const framed: (readonly [string, string])[] = [
    ['host', 'edge'],
    ['connection', 'close'],
    ...(framing === 'length' ? [['content-length', String(body.byteLength)] as const] : []),
    ...(framing === 'chunked' ? [['transfer-encoding', 'chunked'] as const] : []),
    ...headers,
  ]
  const lines = [`${method} ${target} HTTP/1.1`, ...framed.map(([name, value]) => `${name}: ${value}`)]
  // Header values are bytes: what is beyond ASCII goes out as one byte each.
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  return framing === 'chunked' ? [head, ...chunksOf(body)] : [head, body]
}

const chunkBytes = 64 * 1024

function* chunksOf(body: Uint8Array): Generator<Uint8Array> {
  for (let from = 0; from < body.byteLength; from += chunkBytes) {
    const chunk = body.subarray(from, from + chunkBytes)
    yield Buffer.concat([Buffer.from(`${chunk.byteLength.toString(16)}\r\n`), chunk, Buffer.from('\r\n')])
  }
  yield Buffer.from('0\r\n\r\n')
}

/** Sends pieces and reads one answer. Null: the connection ended without one. */
export async function exchange(
  url: string,
  pieces: readonly Uint8Array[],
  { after = 'read' }: { after?: 'read' | 'end' } = {},
): Promise<WireResponse | null> {
  const socket = open(url)
  const received: Buffer[] = []
  // A server that refuses before it has read a body closes while we still write: its answer is there all the same.
  socket.on('error', () => undefined)
  const answered = new Promise<void>(resolve => {
    socket.on('data', (data: Buffer) => {
      received.push(data)
      if (parse(Buffer.concat(received)) !== null) resolve()
    })
    socket.on('end', resolve)
    socket.on('close', () => resolve())
  })
  let done = false
  void answered.then(() => {
    done = true
  })
  // Slice by slice, with a look at what has come before each: writing to a server that has answered and gone takes the answer away.
  for (const piece of slicesOf(pieces)) {
    if (done) break
    if (!socket.write(piece)) await Promise.race([once(socket, 'drain').catch(() => undefined), answered])
    await setImmediate()
  }
  if (after === 'end') socket.end()
  await answered
  socket.resetAndDestroy()
  return parse(Buffer.concat(received), { ended: true })
}

function* slicesOf(pieces: readonly Uint8Array[]): Generator<Uint8Array> {
  for (const piece of pieces) {
    for (let from = 0; from < piece.byteLength; from += chunkBytes)
      yield piece.subarray(from, from + chunkBytes)
  }
}

export function open(url: string): Socket {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
  socket.setNoDelay(true)
  return socket
}

/** The answer, when it is whole. */
function parse(bytes: Buffer, { ended = false } = {}): WireResponse | null {
  const gap = bytes.indexOf('\r\n\r\n')
  if (gap < 0) return null
  const [line = '', ...fields] = bytes.subarray(0, gap).toString('latin1').split('\r\n')
  const headers = new Headers(
    fields.map(field => [field.slice(0, field.indexOf(':')), field.slice(field.indexOf(':') + 1).trim()]),
  )
  const status = Number(line.split(' ')[1])
  const rest = bytes.subarray(gap + 4)
  // What is between a client and its answer.
  if (status === 100) return parse(rest, { ended })
  // A stream may go on for as long as it likes.
  if (headers.get('x-accel-buffering') === 'no') return { status, headers, text: '' }
  const body = bodyOf(headers, rest)
  if (body === null && !ended) return null
  return { status, headers, text: (body ?? rest).toString() }
}

function bodyOf(headers: Headers, rest: Buffer): Buffer | null {
  if (headers.get('transfer-encoding') === 'chunked') return unchunk(rest)
  const length = headers.get('content-length')
  return length !== null && rest.byteLength >= Number(length)
    ? Buffer.from(rest.subarray(0, Number(length)))
    : null
}

function unchunk(rest: Buffer): Buffer | null {
  const chunks: Buffer[] = []
  for (let at = 0; ; ) {
    const end = rest.indexOf('\r\n', at)
    const size = end < 0 ? Number.NaN : Number.parseInt(rest.subarray(at, end).toString(), 16)
    if (size === 0) return Buffer.concat(chunks)
    if (!(end + 2 + size <= rest.byteLength)) return null
    chunks.push(rest.subarray(end + 2, end + 2 + size))
    at = end + 2 + size + 2
  }
}

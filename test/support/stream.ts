import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from 'node:http'
import type { Lease, ReportedResult, StreamAnswer } from '../../src/protocol/runner.ts'
import type { TestRunner } from './runner.ts'

/** An upload that a test writes by hand. */
export type TestUpload = {
  write(bytes: string | Uint8Array): void
  /** Writes as long as the edge takes it, until it has so many bytes. @returns how many have gone out so far, at any time. */
  pour(bytes: number, piece?: Uint8Array): { sent(): number; done: Promise<void> }
  /** Ends the body. @returns the edge's answer. */
  end(): Promise<{ status: number; body: StreamAnswer }>
  /** Breaks the connection. */
  destroy(): void
  /** The edge's answer, also when it comes before the end. */
  answer: Promise<{ status: number; body: StreamAnswer }>
}

export async function openUpload(
  runner: TestRunner,
  { url }: { url: string },
  { id, attempt, from, headers = {} }: Lease & { from: number; headers?: OutgoingHttpHeaders },
): Promise<TestUpload> {
  const request = httpRequest(new URL(`/runner/jobs/${id}/stream?attempt=${attempt}&from=${from}`, url), {
    method: 'PUT',
    headers: {
      authorization: `Bearer ${await runner.token()}`,
      'content-type': 'application/octet-stream',
      ...headers,
    },
  })
  const answer = new Promise<{ status: number; body: StreamAnswer }>((resolve, reject) => {
    request.once('error', reject)
    request.once('response', response => {
      textOf(response).then(
        text => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as StreamAnswer }),
        reject,
      )
    })
  })
  answer.catch(() => undefined)
  request.flushHeaders()
  return {
    write: bytes => void request.write(bytes),
    pour(bytes, piece = new Uint8Array(64 * 1024).fill(120)) {
      let sent = 0
      const done = (async () => {
        while (sent < bytes && !request.destroyed) {
          const next = piece.subarray(0, Math.min(piece.byteLength, bytes - sent))
          if (!request.write(next)) await drained(request)
          sent += next.byteLength
        }
      })()
      return { sent: () => sent, done }
    },
    end() {
      request.end()
      return answer
    },
    destroy: () => request.destroy(),
    answer,
  }
}

/** What the edge has of a job's output. */
export async function askHave(
  runner: TestRunner,
  edge: { url: string },
  lease: Lease,
): Promise<StreamAnswer> {
  return (await (await openUpload(runner, edge, { ...lease, from: 0 })).end()).body
}

/** A stream as its client reads it: over a socket of its own. */
export type TestReader = {
  status: number
  headers: IncomingMessage['headers']
  /** Everything so far. */
  bytes(): Buffer
  text(): string
  /** In how many pieces it came. */
  pieces(): readonly Buffer[]
  /** How many, also of those that were not kept. */
  size(): number
  /** Resolves when there are so many bytes. */
  untilSize(bytes: number): Promise<void>
  /** Resolves when the text so far passes. */
  until(passes: (text: string) => boolean): Promise<string>
  /** Resolves at the end: true for a clean one. */
  ended: Promise<boolean>
  pause(): void
  resume(): void
  /** Gives up, with a reset: workerd alone does not notice a connection that is only half closed, until it writes. */
  leave(): void
}

export type ReadOptions = {
  method?: string
  body?: unknown
  headers?: Record<string, string>
  paused?: boolean
  /** Bytes are counted, and thrown away. */
  counted?: boolean
}

export async function openReader(url: URL, options: ReadOptions = {}): Promise<TestReader> {
  const { method = 'GET', body, headers = {}, paused = false, counted = false } = options
  const request = httpRequest(url, {
    method,
    agent: false,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
  })
  request.end(body === undefined ? undefined : JSON.stringify(body))
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve)
    request.once('error', reject)
  })
  const pieces: Buffer[] = []
  let size = 0
  const take = (piece: Buffer) => {
    size += piece.byteLength
    if (!counted) pieces.push(piece)
    changed()
  }
  const waiting = new Set<() => void>()
  const changed = () => {
    for (const look of [...waiting]) look()
  }
  let isOver = false
  const ended = new Promise<boolean>(resolve => {
    response.once('close', () => {
      isOver = true
      resolve(response.complete)
      changed()
    })
  })
  response.on('error', () => undefined)
  request.on('error', () => undefined)
  if (!paused) response.on('data', take)
  const text = () => Buffer.concat(pieces).toString()
  const until = (passes: () => boolean) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (passes()) resolve()
        else if (isOver) reject(new Error(`The stream ended after ${size} bytes: ${text().slice(-300)}`))
        else return
        waiting.delete(look)
      }
      waiting.add(look)
      look()
    })
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    bytes: () => Buffer.concat(pieces),
    text,
    pieces: () => pieces,
    size: () => size,
    untilSize: async bytes => await until(() => size >= bytes),
    async until(passes) {
      await until(() => passes(text()))
      return text()
    },
    ended,
    pause: () => void response.pause(),
    resume() {
      if (response.listenerCount('data') === 0) response.on('data', take)
      response.resume()
    },
    leave: () => void request.socket?.resetAndDestroy(),
  }
}

async function drained(request: ClientRequest): Promise<void> {
  await new Promise<void>(resolve => {
    const done = () => {
      request.off('drain', done)
      request.off('close', done)
      resolve()
    }
    request.on('drain', done)
    request.on('close', done)
  })
}

async function textOf(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of response) pieces.push(piece as Buffer)
  return Buffer.concat(pieces).toString()
}

export type Event = { event: string; id: string | null; data: Record<string, unknown> }

/** Server-sent events that are whole. */
export function eventsOf(text: string): Event[] {
  return text
    .split('\n\n')
    .slice(0, -1)
    .map(block => Object.fromEntries(block.split('\n').map(line => splitOnce(line))))
    .filter(fields => 'event' in fields)
    .map(({ event = '', id = null, data = '{}' }) => ({ event, id, data: JSON.parse(data) }))
}

function splitOnce(line: string): [string, string] {
  const at = line.indexOf(': ')
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 2)]
}

/** A report of a stream that has ended. */
export function streamed(
  { id, attempt }: Lease,
  { bytes, utf8 = true, error }: { bytes: number; utf8?: boolean; error?: { code: string; error: string } },
): ReportedResult {
  return {
    id,
    attempt,
    status: error ? 'failed' : 'success',
    error_code: error?.code ?? null,
    result: { text: JSON.stringify({ container: 'echo', ...error }) },
    intermediate: null,
    stream: { bytes, utf8 },
  }
}

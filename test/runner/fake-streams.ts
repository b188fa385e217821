import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { refusalBody } from '../../src/protocol/error.ts'
import type { FakeJob } from './fake-edge.ts'

/** What a job has put out, and how it came. */
export type FakeStream = {
  have: number
  /** Empty when nothing is kept. */
  chunks: Buffer[]
  /** Each request: where it began, what of it was taken, and whether its body came to an end. */
  uploads: { from: number; bytes: number; ended: boolean; ask: boolean }[]
}

/**
 * What goes wrong with an upload, after so many bytes of it have been taken. `drop`: the connection; `answer`: an early answer;
 * `stop`: the same with `stop`; `hang`: nothing more is read, nor answered; `mute`: all is taken, and the answer lost; a number: that
 * status, in the edge's own words when it is 409.
 */
export type StreamFault = { after: number; do: 'drop' | 'answer' | 'stop' | 'hang' | 'mute' | number }

export type FakeStreams = ReturnType<typeof createFakeStreams>

/** The part of a fake edge that takes streams: it stores nothing but what comes in order. */
export function createFakeStreams({
  leaseOf,
  keep,
  changed,
}: {
  leaseOf: (id: string) => FakeJob | undefined
  keep: boolean
  changed: () => void
}) {
  const streams = new Map<string, FakeStream>()
  const hashes = new Map<string, ReturnType<typeof createHash>>()
  const state = {
    fault: (_upload: { id: string; from: number; ask: boolean }): StreamFault | undefined => undefined,
    /** Waited for before each chunk is taken. */
    gate: undefined as ((bytes: number) => Promise<void>) | undefined,
  }

  function of(id: string): FakeStream {
    const known = streams.get(id)
    if (known) return known
    const made: FakeStream = { have: 0, chunks: [], uploads: [] }
    streams.set(id, made)
    hashes.set(id, createHash('sha256'))
    return made
  }

  function take(id: string, chunk: Buffer): void {
    const stream = of(id)
    stream.have += chunk.length
    if (keep) stream.chunks.push(chunk)
    hashes.get(id)?.update(chunk)
    changed()
  }

  async function put(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://edge')
    const id = url.pathname.split('/')[3] ?? ''
    const from = Number(url.searchParams.get('from'))
    const ask = request.headers['content-length'] === '0'
    const stream = of(id)
    const upload = { from, bytes: 0, ended: false, ask }
    stream.uploads.push(upload)
    changed()
    const fault = state.fault({ id, from, ask })
    const job = leaseOf(id)
    if (job?.attempt !== Number(url.searchParams.get('attempt')) || job.state === 'cancelled')
      return refuse(response, 409)
    if (from <= stream.have) {
      const struck = await read(request, { id, upload, fault }).catch(() => 'broken')
      if (struck === 'broken') return changed()
      if (struck && fault) return strike(fault, { id, request, response })
      upload.ended = true
    }
    if (fault?.do === 'mute') request.socket.destroy()
    else answer(id, { request, response, stop: false })
    changed()
  }

  /** Takes what is new of a body. True: the fault has come. */
  async function read(
    request: IncomingMessage,
    {
      id,
      upload,
      fault,
    }: { id: string; upload: FakeStream['uploads'][number]; fault: StreamFault | undefined },
  ): Promise<boolean> {
    const most = fault === undefined || fault.do === 'mute' ? Number.POSITIVE_INFINITY : fault.after
    let skip = of(id).have - upload.from
    if (most === 0) return true
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      await state.gate?.(chunk.length)
      const taken = chunk.subarray(0, Math.min(chunk.length, most - upload.bytes))
      upload.bytes += taken.length
      const fresh = taken.subarray(Math.min(skip, taken.length))
      skip -= taken.length - fresh.length
      if (fresh.length > 0) take(id, fresh)
      if (upload.bytes >= most) return true
    }
    return false
  }

  type Exchange = { id: string; request: IncomingMessage; response: ServerResponse }

  function strike(fault: StreamFault, { id, request, response }: Exchange): void {
    if (fault.do === 'drop') request.socket.destroy()
    else if (fault.do === 'answer' || fault.do === 'stop')
      answer(id, { request, response, stop: fault.do === 'stop' })
    else if (typeof fault.do === 'number') {
      request.resume()
      refuse(response, fault.do)
    }
  }

  function answer(
    id: string,
    { request, response, stop }: { request: IncomingMessage; response: ServerResponse; stop: boolean },
  ): void {
    // As servers do with the rest of a body that they do not want.
    request.resume()
    response.end(JSON.stringify({ have: of(id).have, stop }))
  }

  function refuse(response: ServerResponse, status: number): void {
    const ours = status === 409 ? JSON.stringify(refusalBody({ code: 'conflict', error: 'No' })) : ''
    response.writeHead(status).end(ours)
  }

  return {
    state,
    of,
    put,
    /** Loses all but the first bytes, as a relay does with what it has passed on and not stored. */
    forget(id: string, have: number): void {
      const stream = of(id)
      stream.chunks = [Buffer.concat(stream.chunks).subarray(0, have)]
      stream.have = have
    },
    bytes: (id: string) => Buffer.concat(of(id).chunks),
    digest: (id: string) => hashes.get(id)?.copy().digest('hex') ?? '',
  }
}

import { randomBytes } from 'node:crypto'
import { ProtocolError } from './error.ts'
import type { Limits } from './limits.ts'
import type { Pool } from './pool.ts'
import type { Stream } from './stream.ts'

export type Streams = {
  /** The stream of a baton, or a new one; each baton is good once. */
  acquire(baton: string | null | undefined): Stream
  /** Ends a request. Answers the next baton, or null when the stream was closed and its transaction rolled back. */
  release(stream: Stream): string | null
  drop(stream: Stream): void
  /** Rolls back the streams that have been idle for too long. Answers whether there were any. */
  expire(): boolean
  /** Rolls back every stream that no request is using. */
  closeIdle(): void
}

type Idle = { stream: Stream; secret: string; since: number }

/** Streams between two requests. `now` is a clock in milliseconds. */
export function createStreams(pool: Pool, limits: Limits, now: () => number): Streams {
  const idle = new Map<string, Idle>()
  const expired = new Map<string, number>()
  const taken = new Set<string>()
  const ids = new WeakMap<Stream, string>()

  function resume(baton: string): Stream {
    const [id = '', secret] = baton.split('.')
    const entry = idle.get(id)
    if (entry === undefined) throw unknownBaton(id)
    if (entry.secret !== secret) throw new ProtocolError('Received a baton that has already been used')
    idle.delete(id)
    taken.add(id)
    return entry.stream
  }

  function unknownBaton(id: string): ProtocolError {
    if (taken.has(id)) return new ProtocolError('Received a baton that has already been used')
    if (!expired.has(id)) return new ProtocolError('Received an invalid baton')
    return new ProtocolError('The stream has expired due to inactivity', 'STREAM_EXPIRED', 500)
  }

  function end(stream: Stream): void {
    const id = ids.get(stream)
    if (id !== undefined) taken.delete(id)
    pool.give(stream.connection)
  }

  function park(stream: Stream): string {
    const id = ids.get(stream) ?? randomBytes(12).toString('base64url')
    const secret = randomBytes(12).toString('base64url')
    ids.set(stream, id)
    taken.delete(id)
    idle.set(id, { stream, secret, since: now() })
    return `${id}.${secret}`
  }

  // Both maps are in the order of time, so each walk ends at the first entry that is young enough.
  function expire(): boolean {
    const time = now()
    let any = false
    for (const [id, { stream, since }] of idle) {
      if (time - since < limits.streamIdleMs) break
      idle.delete(id)
      expired.set(id, time)
      end(stream)
      any = true
    }
    for (const [id, since] of expired) {
      if (time - since < limits.tombstoneMs) break
      expired.delete(id)
    }
    return any
  }

  return {
    acquire(baton) {
      if (baton == null) return { connection: pool.take(), sqls: new Map(), closed: false }
      expire()
      return resume(baton)
    },
    release(stream) {
      if (!stream.closed) return park(stream)
      end(stream)
      return null
    },
    drop: end,
    expire,
    closeIdle() {
      for (const { stream } of idle.values()) end(stream)
      idle.clear()
    },
  }
}

import { limits } from '../../protocol/limits.ts'
import type { StoredStream, StreamLease } from '../jobs/output.ts'
import { createStop, readPieces, type Stop } from './body.ts'
import { createWindow } from './window.ts'

/** A runner's upload: its body has the output from `from` on. */
export type Upload = StreamLease & { from: number }

/** `stale`: the lease is not the runner's. Else as `StreamAnswer` says. */
export type Written = { stale: true } | { stale: false; have: number; stop: boolean }

/** `key`: of this one reading, so that its caller can end it. `unreadMs`: of the job; see `StoredStream`. */
export type Reading = { key: string; from: number; unreadMs: number | null }

/**
 * Output from where a reading begins, as it comes. It ends when the reader is behind what the relay holds, or the relay is of no use any
 * more: the database says how things stand. null: the relay has too many readers.
 */
export type Output = ReadableStream<Uint8Array> | null

/** Where a runner's upload of one job meets the job's readers. It may vanish at any time: both come back, and say where they stand. */
export type Relay = {
  write(upload: Upload, body: ReadableStream<Uint8Array> | null): Promise<Written>
  read(reading: Reading): Promise<Output>
  /** Ends a reading whose reader cannot do so itself any more. `isOver`: it has seen the job's end. */
  leave(leaving: { key: string; isOver: boolean }): Promise<void>
}

/** The relay of a job. */
export type Relays = (job: string) => Relay

/** What a relay needs of the world. */
export type RelayStore = {
  select(lease: StreamLease): Promise<StoredStream | null>
  /** @returns false when the lease is not the runner's, or the bytes do not follow what is stored. */
  append(piece: StreamLease & { from: number; bytes: Uint8Array }): Promise<boolean>
  /** Nobody has read for as long as the job may run unread: ends it. */
  abandon(): Promise<void>
}

export type RelayOptions = {
  store: RelayStore
  /** Of output, stored at most. */
  storedBytes: number
  /** Has nothing in hand any more. */
  onIdle?: () => void
  now?: () => number
}

/** Readers of a relay that has just come to be have so long to come back. */
const returnMs = 5_000
const pieceBytes = 64 * 1024

type Reader = { pos: number; wake(): void; close(): void }
type Writer = { lease: StreamLease; stop: Stop }

export function createRelay({
  store,
  storedBytes,
  onIdle = () => {},
  now = () => Date.now(),
}: RelayOptions): Relay {
  const window = createWindow()
  const readers = new Map<string, Reader>()
  const progress = createSignal()
  let attempt = 0
  let stored = 0
  let writer: Writer | null = null
  let flushing: Promise<void> | null = null
  let storeTimer: ReturnType<typeof setTimeout> | null = null
  let unreadTimer: ReturnType<typeof setTimeout> | null = null
  let unreadMs: number | null = null
  let lastReadAt = now()
  let isStale = false
  let isAbandoned = false

  /** Beyond, nothing is stored: what readers do not take is lost. */
  const isFull = () => stored >= storedBytes
  /** What readers may see: nothing before the first bytes are stored. */
  const released = () => (stored > 0 ? window.end() : 0)
  const unstored = () => Math.min(window.end(), storedBytes) - stored

  // --- The writer's side

  async function write(
    { from, ...lease }: Upload,
    body: ReadableStream<Uint8Array> | null,
  ): Promise<Written> {
    const known = await store.select(lease)
    if (known === null || lease.attempt < attempt) return { stale: true }
    settle(lease, known)
    if (isFull() && window.size() === 0 && from > window.end()) window.reset(from)
    writer?.stop.stop()
    writer = { lease, stop: createStop() }
    progress.tell()
    if (readers.size === 0) watchUnread(Math.max(unreadMs ?? 0, returnMs))
    await receive(writer, from, body)
    return isStale
      ? { stale: true }
      : { stale: false, have: isFull() ? window.end() : stored, stop: isAbandoned }
  }

  /** @throws what the database throws. */
  async function receive(mine: Writer, from: number, body: ReadableStream<Uint8Array> | null): Promise<void> {
    try {
      if (body && from <= window.end()) await take(mine, from, body)
      while (writer === mine && !isStale && !isAbandoned && unstored() > 0) await flush(mine.lease)
    } finally {
      if (writer === mine) writer = null
      rest()
    }
  }

  /** Another attempt, or another relay has stored more than this one knows of: what is held here is of no use. */
  function settle(lease: StreamLease, known: StoredStream): void {
    unreadMs = known.unreadMs
    if (lease.attempt === attempt && known.stored <= stored && !isStale) return
    attempt = lease.attempt
    isStale = false
    stored = known.stored
    if (window.end() !== stored || window.size() > 0) window.reset(stored)
    closeBehind()
  }

  async function take(
    { lease, stop }: Writer,
    from: number,
    body: ReadableStream<Uint8Array>,
  ): Promise<void> {
    let offset = from
    await readPieces(body, {
      stop,
      maxBytes: limits.streamPartBytes,
      async take(piece) {
        add(lease, offset, piece)
        offset += piece.byteLength
        while (!stop.isStopped() && !hasRoom()) await untilRoom(lease)
      },
    })
  }

  function add(lease: StreamLease, offset: number, piece: Uint8Array): void {
    if (!window.add(offset, piece)) return
    if (stored === 0 || unstored() >= limits.streamStoreBytes) void flush(lease).catch(() => undefined)
    else if (unstored() > 0) storeTimer ??= setTimeout(() => storeInTime(lease), limits.streamStoreMs)
    trim()
    wakeReaders()
  }

  /**
   * Readers hold the writer back. Where nothing is stored the slowest does, since it would lose what it has not read; and for a moment
   * those do that may come back. Else the fastest: the others find what they lack in the database.
   */
  function hasRoom(): boolean {
    return window.size() < limits.streamWindowBytes + limits.streamStoreBytes
  }

  /** @throws what the database throws: while it is away, nothing more is taken. */
  async function untilRoom(lease: StreamLease): Promise<void> {
    if (unstored() >= limits.streamStoreBytes) await flush(lease)
    else await progress.wait()
  }

  function storeInTime(lease: StreamLease): void {
    storeTimer = null
    void flush(lease).catch(() => undefined)
  }

  /** Stores the next bytes, one statement at a time. @throws what the database throws; they stay in the window. */
  function flush(lease: StreamLease): Promise<void> {
    flushing ??= flushOnce(lease).finally(() => {
      flushing = null
      if (unstored() > 0 && writer !== null)
        storeTimer ??= setTimeout(() => storeInTime(lease), limits.streamStoreMs)
      progress.tell()
    })
    return flushing
  }

  async function flushOnce(lease: StreamLease): Promise<void> {
    const from = stored
    const to = Math.min(window.end(), storedBytes, from + limits.streamStoreBytes)
    if (to <= from || lease.attempt !== attempt) return
    const bytes = window.slice(from, to)
    const isStored = await store.append({ ...lease, from, bytes })
    if (lease.attempt !== attempt || stored !== from) return
    if (isStored) {
      stored = to
      trim()
      wakeReaders()
    } else {
      isStale = true
      writer?.stop.stop()
      closeReaders()
    }
  }

  // --- The readers' side

  async function read({ key, from, unreadMs: told }: Reading): Promise<Output> {
    if (readers.size >= limits.streamReaders) return null
    unreadMs = told
    remove(key)
    stopWatching()
    let wake: () => void = () => {}
    let isClosed = false
    const reader: Reader = {
      pos: from,
      wake: () => wake(),
      close() {
        isClosed = true
        wake()
      },
    }
    readers.set(key, reader)
    trim()
    closeBehind()
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          while (!isClosed && released() <= reader.pos) {
            await new Promise<void>(resolve => {
              wake = resolve
            })
          }
          if (isClosed) {
            controller.close()
            return remove(key, reader)
          }
          const piece = window.slice(reader.pos, Math.min(released(), reader.pos + pieceBytes))
          reader.pos += piece.byteLength
          controller.enqueue(piece)
          trim()
          progress.tell()
        },
        cancel: () => remove(key, reader),
      },
      { highWaterMark: 0 },
    )
  }

  function remove(key: string, reader?: Reader): void {
    const found = readers.get(key)
    if (found === undefined || (reader !== undefined && found !== reader)) return
    readers.delete(key)
    found.close()
    if (readers.size === 0) {
      lastReadAt = now()
      if (unreadMs !== null) watchUnread(unreadMs)
      else setTimeout(letGo, limits.streamLeaveMs)
    }
    trim()
    progress.tell()
    rest()
  }

  function wakeReaders(): void {
    for (const reader of readers.values()) reader.wake()
  }

  function closeReaders(): void {
    for (const reader of readers.values()) reader.close()
    progress.tell()
  }

  function closeBehind(): void {
    for (const reader of readers.values()) if (reader.pos < window.base()) reader.close()
  }

  // --- Between them

  /** Forgets what is stored, or cannot be, and need not be held for a reader. */
  function trim(): void {
    const positions = [...readers.values()].map(({ pos }) => pos)
    const mayLose = !isFull() || (positions.length === 0 && isForsaken())
    const keepFor = isFull() ? Math.min(...positions) : Math.max(...positions)
    const needed = positions.length > 0 ? keepFor : mayLose ? window.end() : window.base()
    window.drop(Math.min(needed, isFull() ? window.end() : stored))
    closeBehind()
  }

  /** Beyond what is stored, it runs on for itself: nobody who reads has been here for a while. */
  function isForsaken(): boolean {
    return unreadMs === null && now() - lastReadAt >= limits.streamLeaveMs
  }

  function letGo(): void {
    if (readers.size > 0) return
    trim()
    progress.tell()
  }

  function watchUnread(ms: number): void {
    if (unreadMs === null || unreadTimer !== null) return
    unreadTimer = setTimeout(() => void abandon(), ms)
  }

  function stopWatching(): void {
    if (unreadTimer !== null) clearTimeout(unreadTimer)
    unreadTimer = null
  }

  async function abandon(): Promise<void> {
    unreadTimer = null
    if (readers.size > 0) return
    isAbandoned = true
    writer?.stop.stop()
    progress.tell()
    await store.abandon().catch(() => {
      // The database is away: once more, as long as somebody uploads.
      isAbandoned = false
      if (writer !== null) watchUnread(returnMs)
    })
    rest()
  }

  function rest(): void {
    if (writer !== null || readers.size > 0 || unreadTimer !== null || flushing !== null) return
    if (storeTimer !== null) clearTimeout(storeTimer)
    storeTimer = null
    onIdle()
  }

  return {
    write,
    read,
    async leave({ key, isOver }) {
      remove(key)
      if (isOver && readers.size === 0) stopWatching()
      rest()
    },
  }
}

/** Wakes all that wait for something to change. */
function createSignal(): { wait(): Promise<void>; tell(): void } {
  let current = Promise.withResolvers<void>()
  return {
    wait: () => current.promise,
    tell() {
      current.resolve()
      current = Promise.withResolvers<void>()
    },
  }
}

import { limits } from '../../protocol/limits.ts'
import type { OpenedStream, StoredStream, StreamLease } from '../jobs/output.ts'
import { createStop, readPieces, type Stop } from './body.ts'
import { createCalls } from './calls.ts'
import { createFence } from './fence.ts'
import { createReaders, type Frame } from './readers.ts'
import { createSignal } from './signal.ts'
import type { RelayStore } from './store.ts'
import { createWindow } from './window.ts'

/** A runner's upload: its body has the output from `from` on. */
export type Upload = StreamLease & { from: number }

/** `stale`: the lease is not the runner's. Else as `StreamAnswer` says. */
export type Written = { stale: true } | { stale: false; have: number; stop: boolean }

/**
 * `key`: of this one reading, so that its caller can end it. `mayFollow`: others may have read at another relay: it has sat at one, or has
 * found the job running. `unreadMs`: of the job; see `StoredStream`.
 */
export type Reading = { key: string; from: number; mayFollow: boolean; unreadMs: number | null }

/** Output as it comes, with gaps where a reader is behind what is held here. null: the relay has too many readers. */
export type Output = ReadableStream<Frame> | null

/** Where a runner's upload of one job meets the job's readers. It may vanish at any time: both come back, and say where they stand. */
export type Relay = {
  write(upload: Upload, body: ReadableStream<Uint8Array> | null): Promise<Written>
  read(reading: Reading): Promise<Output>
  /** Reads as well, unless the reading is there: to begin it again would lose what is on its way. */
  keep(reading: Reading): Promise<Output | 'there'>
  /** Ends a reading whose reader cannot do so itself any more. */
  leave(leaving: Leaving): Promise<void>
}

/**
 * `isFirst`: it has made the job, and never sat: nobody can have read before. `hasSat`: at some relay. One that is neither was refused, or
 * has left before it came: nobody misses it. `isOver`: it has seen the job's end. `unreadMs`: as of a `Reading`, which may not have come.
 */
export type Leaving = {
  key: string
  isFirst: boolean
  hasSat: boolean
  isOver: boolean
  unreadMs: number | null
}

/** The relay of a job. */
export type Relays = (job: string) => Relay

export type RelayOptions = {
  store: RelayStore
  /** Of output, stored at most. */
  storedBytes: number
  /** Where an upload finds nobody, readers have so long to come; one whose end the database did not take tries again. */
  returnMs?: number
  /** Has nothing in hand any more. */
  onIdle?: () => void
  /** With its readers: whatever ends the one ends the others, and it has none to be called. */
  sharesProcess?: boolean
  /** Aborts when the host closes: then nobody leaves of his own will. */
  closing?: AbortSignal
}

const defaultReturnMs = 5_000
/** When those of a relay that is gone are called first, in parts of that. Those that wait for a frame have come by then. */
const callParts = 10
const lostCalls = 4
/** Where all readers are gone with the relay, as their process is, nobody hears a call. But they come back, one after the other. */
const returningCalls = 2
/** Readings that have been here, and such as were ended before they began, remembered. */
const maxKnown = 1_000

export function createRelay({
  store,
  storedBytes,
  returnMs = defaultReturnMs,
  onIdle = () => {},
  sharesProcess = false,
  closing,
}: RelayOptions): Relay {
  const window = createWindow()
  const progress = createSignal()
  const left = new Set<string>()
  const seated = new Set<string>()
  let lease: StreamLease | null = null
  let stored = 0
  let writer: Stop | null = null
  let uploads = 0
  let flushing: Promise<void> | null = null
  let storeTimer: ReturnType<typeof setTimeout> | null = null
  let absence: ReturnType<typeof setTimeout> | null = null
  let unreadMs: number | null = null
  let isStale = false
  /** Nobody has had output of another relay: whoever claims to have some is mistaken. */
  let isOriginal = false
  let isAbandoned = false
  /** It runs on for itself: what is not stored is kept for nobody. */
  let isForsaken = false

  /** Beyond, nothing is stored: what readers do not take is lost. */
  const isFull = () => stored >= storedBytes
  const unstored = () => Math.min(window.end(), storedBytes) - stored
  /** Beyond the cap, what has been passed on. */
  const have = () => (isFull() ? Math.max(stored, window.base()) : stored)
  const isWanted = (mine: Stop) => writer === mine && !isStale && !isAbandoned

  const fence = createFence({ store, hasOutput: () => window.end() > 0 })
  /** Nothing while another attempt may still begin, which would say something else. */
  const isReleased = () => fence.isUp(lease) || stored > 0

  const calls = createCalls({
    call: async () => (sharesProcess ? undefined : await store.call()),
    firstMs: returnMs / callParts,
    most: sharesProcess ? returningCalls : lostCalls,
    onStep() {
      trim()
      progress.tell()
      if (!calls.areOut() && absence === null) endAbsence().finally(rest)
    },
  })

  const readers = createReaders({
    window,
    released: () => (isReleased() ? window.end() : 0),
    onMove() {
      trim()
      progress.tell()
    },
    onLeave() {
      if (readers.count() === 0) awaitReaders(unreadMs ?? limits.streamLeaveMs)
      trim()
      progress.tell()
      rest()
    },
  })

  // --- The writer's side

  async function write(upload: Upload, body: ReadableStream<Uint8Array> | null): Promise<Written> {
    uploads += 1
    try {
      return await admit(upload, body)
    } finally {
      uploads -= 1
      rest()
    }
  }

  /** @throws what the database throws. */
  async function admit(
    { from, ...upload }: Upload,
    body: ReadableStream<Uint8Array> | null,
  ): Promise<Written> {
    const known = await lookUp(upload, { isFirst: body !== null && from === 0 })
    if (known === null || upload.attempt < (lease?.attempt ?? 0)) return { stale: true }
    settle(upload, { ...known, from })
    writer?.stop()
    const mine = createStop()
    writer = mine
    progress.tell()
    // Who reads may not know yet that this is the relay to sit at.
    if (readers.count() === 0) awaitReaders(Math.max(unreadMs ?? 0, returnMs))
    try {
      const offset = body && from <= window.end() ? await receive(mine, from, body) : from
      while (isWanted(mine) && unstored() > 0) await flush()
      if (offset > from) await untilTaken(mine)
    } finally {
      if (writer === mine) {
        writer = null
        await fence.lower()
      }
    }
    return answerTo(upload)
  }

  /** Bytes that follow others can only come where those were let through. */
  async function lookUp(
    upload: StreamLease,
    { isFirst }: { isFirst: boolean },
  ): Promise<StoredStream | OpenedStream | null> {
    return isFirst ? await fence.raise(upload) : await store.select(upload)
  }

  function answerTo({ attempt }: StreamLease): Written {
    const isOurs = lease?.attempt === attempt && !isStale
    return isOurs ? { stale: false, have: have(), stop: isAbandoned } : { stale: true }
  }

  /** Another attempt, or another relay has stored more than this one knows of: what is held here is of no use. */
  function settle(upload: StreamLease, known: (StoredStream | OpenedStream) & { from: number }): void {
    const isOthers = 'noted' in known && !known.noted
    if (isOthers || Math.max(known.from, known.stored) > window.end()) calls.begin()
    else if ('noted' in known && known.stored === 0) isOriginal = true
    unreadMs = known.unreadMs
    if (upload.attempt !== lease?.attempt || isStale) {
      stored = known.stored
      window.reset(stored)
      isStale = false
    }
    lease = upload
    advance(known.stored)
    // Passed on by a relay that is gone.
    if (isFull() && window.size() === 0 && known.from > window.end()) window.reset(known.from)
    readers.wake()
  }

  /** @returns where the body has ended. @throws what the database throws. */
  async function receive(mine: Stop, from: number, body: ReadableStream<Uint8Array>): Promise<number> {
    let offset = from
    await readPieces(body, {
      stop: mine,
      maxBytes: limits.streamPartBytes,
      async take(piece) {
        add(offset, piece)
        offset += piece.byteLength
        while (isWanted(mine) && !hasRoom()) await untilRoom()
      },
    })
    return offset
  }

  function add(offset: number, piece: Uint8Array): void {
    if (!window.add(offset, piece)) return
    readers.wake()
    if (!isReleased() || unstored() >= limits.streamStoreBytes) flushBehind()
    else storeInTime()
    trim()
  }

  /**
   * Readers hold the writer back. Where nothing is stored the slowest does, since it would lose what it has not read; and for a moment
   * those do that may come back. Else the fastest: the others find what they lack in the database.
   */
  function hasRoom(): boolean {
    return window.size() < limits.streamWindowBytes + limits.streamStoreBytes
  }

  /** @throws what the database throws: while it is away, nothing more is taken. */
  async function untilRoom(): Promise<void> {
    if (unstored() >= limits.streamStoreBytes) await flush()
    else await progress.wait()
  }

  /** What is stored nowhere and has not been passed on is the runner's, for as long as it waits for that. */
  async function untilTaken(mine: Stop): Promise<void> {
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      progress.tell()
    }, limits.streamPartMs)
    try {
      while (isWanted(mine) && !isLate && isFull() && have() < window.end()) await progress.wait()
    } finally {
      clearTimeout(timer)
    }
  }

  function storeInTime(): void {
    if (unstored() <= 0) return
    storeTimer ??= setTimeout(() => {
      storeTimer = null
      flushBehind()
    }, limits.streamStoreMs)
  }

  /** Nobody waits for it: the bytes stay in the window, and are stored later, or sent again. */
  function flushBehind(): void {
    flush().catch(() => undefined)
  }

  /** Stores the next bytes, one statement at a time. @throws what the database throws; they stay in the window. */
  function flush(): Promise<void> {
    flushing ??= flushOnce().finally(() => {
      flushing = null
      if (writer !== null) storeInTime()
      progress.tell()
      rest()
    })
    return flushing
  }

  async function flushOnce(): Promise<void> {
    const mine = lease
    const from = stored
    const to = Math.min(window.end(), storedBytes, from + limits.streamStoreBytes)
    if (mine === null || to <= from) return
    const isStored = await store.append({ ...mine, from, bytes: window.slice(from, to) })
    // An append whose answer was lost is refused when it is repeated: what is stored says whether it was that.
    const known = isStored ? { stored: to } : await store.select(mine)
    if (lease?.attempt !== mine.attempt) return
    if (known === null) {
      isStale = true
      writer?.stop()
    } else if (!isStored && known.stored <= stored) throw new Error('Output does not follow what is stored')
    else advance(known.stored)
  }

  function advance(to: number): void {
    if (to <= stored) return
    if (to > window.end()) window.reset(to)
    stored = to
    trim()
    readers.wake()
  }

  // --- Between both

  /** Forgets what is stored, or cannot be, and need not be held for a reader. */
  function trim(): void {
    if (readers.count() === 0) window.drop(isFull() && isForsaken ? window.end() : stored)
    else if (!isFull()) window.drop(Math.min(readers.fastest(), stored))
    // The slowest may not have come yet.
    else window.drop(calls.areNew() ? stored : readers.slowest())
  }

  function awaitReaders(ms: number): void {
    if (isForsaken || isAbandoned) return
    absence ??= setTimeout(() => {
      absence = null
      // Else it ends with the calls, if nobody has come by then.
      if (!calls.areOut()) endAbsence().finally(rest)
    }, ms)
  }

  /** Nobody has come back. */
  async function endAbsence(): Promise<void> {
    if (readers.count() > 0 || isForsaken || isAbandoned) return
    if (unreadMs === null) {
      isForsaken = true
      trim()
      return progress.tell()
    }
    if (closing?.aborted) return
    try {
      await store.abandon()
    } catch {
      // The database is away.
      return awaitReaders(returnMs)
    }
    isAbandoned = true
    writer?.stop()
    progress.tell()
  }

  function stopAwaiting(): void {
    if (absence !== null) clearTimeout(absence)
    absence = null
  }

  function rest(): void {
    if (uploads > 0 || readers.count() > 0 || absence !== null || flushing !== null || calls.areOut()) return
    if (storeTimer !== null) clearTimeout(storeTimer)
    storeTimer = null
    onIdle()
  }

  async function read({ key, from, mayFollow, unreadMs: told }: Reading): Promise<Output> {
    readers.close(key)
    if (readers.count() >= limits.streamReaders) return null
    unreadMs = told
    // It was given by another relay what this one has never had, or finds the job running and nobody here.
    const isAfter = from > window.end() || seated.size === 0
    if (mayFollow && !isOriginal && isAfter) calls.begin()
    if (seated.size < maxKnown) seated.add(key)
    const output = readers.open(key, from)
    isForsaken = false
    stopAwaiting()
    // It was told to leave before it came.
    if (left.has(key)) readers.close(key)
    return output
  }

  return {
    write,
    read,
    keep: async reading => (readers.has(reading.key) ? 'there' : await read(reading)),
    async leave({ key, isFirst, hasSat, isOver, unreadMs: told }) {
      const wasThere = readers.close(key)
      if (!wasThere && left.size < maxKnown) left.add(key)
      if (!wasThere && hasSat && !seated.has(key) && !isOver && !isOriginal) calls.begin()
      if (readers.count() === 0) {
        if (isOver) {
          stopAwaiting()
          calls.stop()
        }
        // It may never come: then nothing else tells that nobody reads.
        else if (!wasThere && (isFirst || hasSat)) {
          unreadMs = told
          awaitReaders(told ?? limits.streamLeaveMs)
        }
      }
      rest()
    },
  }
}

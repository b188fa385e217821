import type { Tape } from './tape.ts'

export type PiecesOptions = {
  tape: Tape
  from: number
  /** Of one request. */
  maxBytes: number
  maxMs: number
  /** Aborted to end the body, whatever there is. */
  signal: AbortSignal
  now?: () => number
}

/** What goes out at a time. */
const pieceBytes = 64 * 1024
/** What comes sooner after what went out waits for more, so that a fast model does not cost a packet for each token. */
const gatherMs = 20

/** A tape from an offset on, as it grows, until it is over or has been sent for long enough. */
export async function* piecesOf({
  tape,
  from,
  maxBytes,
  maxMs,
  signal,
  now = () => performance.now(),
}: PiecesOptions): AsyncGenerator<Uint8Array> {
  const until = now() + maxMs
  let at = from
  let sentAt = Number.NEGATIVE_INFINITY
  while (!signal.aborted && at - from < maxBytes) {
    const there = tape.end() - at
    const leftMs = until - now()
    if (there === 0 && tape.isOver()) return
    if (leftMs <= 0 && there === 0) return
    const dueMs = there === 0 ? leftMs : sentAt + gatherMs - now()
    const isDue = there >= pieceBytes || (there > 0 && (tape.isOver() || dueMs <= 0))
    if (!isDue) {
      await tape.changed.wait(signal, Math.min(dueMs, Math.max(1, leftMs)))
      continue
    }
    const bytes = await tape.read(at, Math.min(tape.end(), at + pieceBytes, from + maxBytes))
    at += bytes.byteLength
    sentAt = now()
    tape.reached(at)
    yield bytes
    if (now() >= until) return
  }
}

import type { Bounds } from './bounds.ts'
import type { Tape } from './tape.ts'

export type PieceBounds = Pick<Bounds, 'partBytes' | 'partMs' | 'pauseMs' | 'pieceBytes'>

/**
 * The body of one upload: the bytes of a tape from an offset on, while they come. Small ones that come fast go out together, so that
 * each costs neither a packet nor a wake-up of everybody on the way. A piece is good until the next one is asked for: a new buffer for
 * each would be freed late, and dozens of MiB of them be held.
 */
export async function* pieces(
  tape: Tape,
  { from, partBytes, partMs, pauseMs, pieceBytes }: PieceBounds & { from: number },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const until = performance.now() + partMs
  let at = from
  let sentAt = Number.NEGATIVE_INFINITY
  const buffer = Buffer.allocUnsafeSlow(pieceBytes)
  while (!signal.aborted && at < from + partBytes) {
    const now = performance.now()
    const ready = tape.bytes() - at
    if (now >= until || (ready === 0 && tape.ended())) return
    const dueMs = ready === 0 ? until - now : sentAt + pauseMs - now
    if (ready < pieceBytes && dueMs > 0 && !tape.ended()) {
      await tape.arrived.wait(signal, Math.min(dueMs, until - now))
      continue
    }
    const piece = await tape.read(at, buffer.subarray(0, from + partBytes - at))
    yield piece
    at += piece.length
    tape.sent(at)
    sentAt = performance.now()
  }
}

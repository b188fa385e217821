/** What is known of a chain's rhythm. Milliseconds of this machine's clock. */
export type Pace = {
  /** When the newest block was first seen; null: none yet. */
  seenAt: number | null
  /** Its number. */
  number: number | null
  /** Between blocks, as far as it is known. */
  periodMs: number | null
}

export const noPace: Pace = { seenAt: null, number: null, periodMs: null }

/** Before the rhythm is known. */
const unknownMs = 500
/** Between looks for a block that is due, at least and at most; the longer it is late, the longer. */
const minMs = 50
const maxMs = 1_000
/** Nothing is waited for longer, whatever the rhythm seems to be. */
const mostMs = 15_000
/** How much the newest measure counts. */
const weight = 0.3
/** After a look at `at` that found the chain at block `number`. */
export function paced({ seenAt, number: last, periodMs }: Pace, number: number, at: number): Pace {
  if (last !== null && number <= last) return { seenAt, number: last, periodMs }
  if (last === null || seenAt === null) return { seenAt: at, number, periodMs }
  // A chain that has stood still keeps its rhythm, mostly.
  const measured = Math.min((at - seenAt) / (number - last), 4 * (periodMs ?? mostMs / 4))
  const next = periodMs === null ? measured : periodMs + weight * (measured - periodMs)
  return { seenAt: at, number, periodMs: next }
}

/**
 * When to look again, for one request a block on a chain that keeps its time: shortly before the next block is due, and from then on in
 * steps that grow the longer it is late.
 */
export function nextLook({ seenAt, periodMs }: Pace, now: number): number {
  if (seenAt === null || periodMs === null) return now + unknownMs
  // One that the first look finds may have been there for long: so looking begins earlier each time, until a look comes too soon.
  const step = Math.min(250, Math.max(minMs, periodMs / 16))
  const due = seenAt + periodMs - step
  if (now < due) return Math.min(due, now + mostMs)
  return now + Math.min(maxMs, Math.max(step / 2, minMs, (now - due) / 8))
}

import { createBackoff } from '../backoff.ts'

export type DiskWatch = {
  /**
   * What the container has written, when that is too much; null when it is not, or when it is not time to look again. Fails as measuring
   * does, and looks again ever later then.
   */
  excess(): Promise<number | null>
  /** It was stopped for its disk. Milliseconds until it may come back. */
  stopped(): number
}

export type DiskWatchOptions = {
  /** Null: nothing is watched. */
  limitBytes: number | null
  /** In bytes; null when the container is gone. */
  measure: () => Promise<number | null>
  /** In milliseconds, of a clock that only goes forward. */
  now?: () => number
}

/** Looking takes a twentieth of the time at most: a container with a million files is not walked through all the time. */
const restPerLook = 19
/** A container that fills its disk again and again comes back ever later, until it has stood for so long. */
const stoodMs = 3_600_000

export function createDiskWatch({
  limitBytes,
  measure,
  now = () => performance.now(),
}: DiskWatchOptions): DiskWatch {
  const backoff = createBackoff({ baseMs: 10_000, capMs: 600_000 })
  const refused = createBackoff({ baseMs: 20_000, capMs: 120_000 })
  let due = Number.NEGATIVE_INFINITY
  let stoppedAt = Number.NEGATIVE_INFINITY

  return {
    async excess() {
      if (limitBytes === null || now() < due) return null
      const from = now()
      let restMs = 0
      try {
        const bytes = (await measure()) ?? 0
        refused.reset()
        return bytes > limitBytes ? bytes : null
      } catch (error) {
        restMs = refused.next()
        throw error
      } finally {
        due = now() + Math.max(restMs, (now() - from) * restPerLook)
      }
    },
    stopped() {
      if (now() - stoppedAt > stoodMs) backoff.reset()
      stoppedAt = now()
      return backoff.next()
    },
  }
}

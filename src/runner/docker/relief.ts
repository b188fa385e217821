import type { Log } from '../log.ts'
import { messageOf } from '../trouble.ts'

/** Who has to go when Docker's disk is full, so that the others can go on. */
export type Relief = {
  /** Docker's disk lacks so many bytes; 0: none. Finds who has written most, once at a time. */
  lacks(bytes: number): Promise<void>
  /** What a container has written that has to go, in bytes; null: it may stay. */
  excessOf(id: string): number | null
}

export type ReliefOptions = {
  /** Of the containers that are here now. */
  ids: () => readonly string[]
  /** What one has written, in bytes; null when it is gone. */
  measure: (id: string) => Promise<number | null>
  log: Log
}

/** For the one that was found to be gone, before one looks for another. */
const restMs = 30_000

export function createRelief({ ids, measure, log }: ReliefOptions): Relief {
  let condemned: { id: string; bytes: number } | null = null
  let isLooking = false
  let restsUntil = Number.NEGATIVE_INFINITY

  /** Whatever else fills the disk, nobody is taken down whose files would not help. */
  async function find(bytes: number): Promise<void> {
    const written: { id: string; bytes: number }[] = []
    // One after another: an engine counts for one at a time.
    for (const id of ids()) written.push({ id, bytes: (await measure(id)) ?? 0 })
    const all = written.reduce((sum, one) => sum + one.bytes, 0)
    const [most] = written.sort((a, b) => b.bytes - a.bytes)
    if (most !== undefined && all >= bytes) condemned = most
  }

  return {
    async lacks(bytes) {
      if (bytes <= 0 || (condemned !== null && !ids().includes(condemned.id))) condemned = null
      if (bytes <= 0 || condemned !== null || isLooking || performance.now() < restsUntil) return
      isLooking = true
      await find(bytes)
        .catch((error: unknown) =>
          log.warn('Who fills the disk could not be told', { error: messageOf(error) }),
        )
        .finally(() => {
          isLooking = false
        })
    },
    excessOf(id) {
      if (condemned?.id !== id) return null
      const { bytes } = condemned
      condemned = null
      restsUntil = performance.now() + restMs
      return bytes
    },
  }
}

/** Why it has to go. */
export function mostWritten(bytes: number): string {
  return `Docker's disk is full, and of all containers it has written most: ${bytes} bytes`
}

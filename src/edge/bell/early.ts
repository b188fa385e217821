import type { Bell, Ring } from './bell.ts'

/** Rings for one request's jobs before it is known that they are stored, and again when they are. */
export type EarlyRing = {
  /** Once: the jobs are on their way to the database. */
  ring(expected: Ring): void
  /** They are stored. @returns false when nothing was rung before. */
  confirm(stored: Ring): Promise<boolean>
}

/** A claim that was rung for has the job by then, or looked too early: to ring at once would hold up what it does, for nothing. */
const confirmMs = 10

/**
 * A claim that is rung for while its job is still being stored asks the database meanwhile, and gets the job a moment after its client
 * gets the id: 2 to 3 ms sooner on one machine. One that asks too early finds nothing, and waits on; the second ring is for it.
 */
export function createEarlyRing(bell: () => Bell): EarlyRing {
  let early: ReturnType<Bell['ring']> | null = null
  return {
    ring(expected) {
      early ??= bell().ring(expected)
      early.catch(() => undefined)
    },
    async confirm(stored) {
      if (early === null) return false
      const ticket = await early.catch(() => undefined)
      if (Object.keys(stored).length === 0) return true
      await new Promise(resolve => setTimeout(resolve, confirmMs))
      await bell().ring(stored, ticket)
      return true
    },
  }
}

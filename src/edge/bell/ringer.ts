import { addToRing, type Bells, type Ring } from './bell.ts'

/** Longest time that a ring is waited for before another request stops counting on it. */
const stuckMs = 1_000

/**
 * Rings for queued jobs, one ring at a time: rings that come while one is on its way are added up and follow it, so that a busy
 * isolate does not spend a call on each job. The request that owned a ring may die with it; after a second the next one takes over.
 */
export function createRinger({ bells, now }: { bells: Bells; now(): number }): (ring: Ring) => Promise<void> {
  let pending: Ring = {}
  let ringingSince: number | null = null

  function add(ring: Ring): void {
    for (const [route, count] of Object.entries(ring)) addToRing(pending, route, count)
  }

  return async function ringClaims(ring) {
    add(ring)
    if (ringingSince !== null && now() - ringingSince < stuckMs) return
    ringingSince = now()
    try {
      while (Object.keys(pending).length > 0) {
        const batch = pending
        pending = {}
        await bells('claims')
          .ring(batch)
          .catch(async () => {
            // Once more, with what has come meanwhile; after that it is lost, which costs latency and no job.
            add(batch)
            const again = pending
            pending = {}
            await bells('claims').ring(again)
          })
      }
    } finally {
      ringingSince = null
    }
  }
}

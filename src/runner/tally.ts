import { destination } from '../protocol/job.ts'
import type { ClaimedJob } from '../protocol/runner.ts'

/** A job that this process works on. */
export type InHand = {
  id: string
  attempt: number
  containers: readonly string[]
  stream: boolean
  /** Milliseconds since it was claimed. */
  forMs: number
}

/** A job that has come to an end here. `outcome`: `success`, the code of its failure, or `cut_off` when nothing was reported. */
export type Ended = { container: string; outcome: string; seconds: number }

export type Tally = {
  /** Of a claimed job; the call it answers with ends it. `container`: the one that failed, else the last. */
  begin(job: ClaimedJob): (end: { outcome: string; container?: string | undefined }) => void
  inHand(): InHand[]
  onEnd(told: (ended: Ended) => void): void
}

/** Counts jobs for whoever watches; nothing depends on it. */
export function createTally({ now = () => performance.now() }: { now?: () => number } = {}): Tally {
  const current = new Map<ClaimedJob, number>()
  let told: (ended: Ended) => void = () => {}

  return {
    begin(job) {
      const begunAt = now()
      current.set(job, begunAt)
      return ({ outcome, container = job.containers.at(-1) ?? '' }) => {
        if (current.delete(job)) told({ container, outcome, seconds: (now() - begunAt) / 1000 })
      }
    },
    inHand: () =>
      [...current].map(([{ id, attempt, containers, destination: to }, begunAt]) => ({
        id,
        attempt,
        containers,
        stream: to === destination.stream,
        forMs: Math.round(now() - begunAt),
      })),
    onEnd(callback) {
      told = callback
    },
  }
}

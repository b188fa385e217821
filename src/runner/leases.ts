import type { HeartbeatRequest, Lease } from '../protocol/runner.ts'

/**
 * Why a job is stopped before its time. Also the abort reason of its signal. `timeout`: a container's bound; `deadline`: the job's own;
 * `idle`: a container's, between two pieces of a stream.
 */
export type StopReason = 'cancelled' | 'lost' | 'stopped' | 'timeout' | 'deadline' | 'idle'

/** A lease of this process, from the claim until the edge has answered its report. */
export type Held = Lease & {
  /** Milliseconds of the monotonic clock. */
  readonly claimedAt: number
  /** The first container has been called. */
  started: boolean
  /** The result is with the reporter. */
  finished: boolean
  readonly controller: AbortController
}

export type Leases = {
  /** Null when this very attempt is held already. An older attempt at the same job is stopped: it cannot count any more. */
  take(lease: Lease): Held | null
  /** One of an earlier process, whose result is in the spool: renewed and named as our own until the edge has answered for it. */
  adopt(lease: Lease): void
  drop(lease: Lease): void
  stop(leases: readonly Lease[], reason: StopReason): Held[]
  stopAll(reason: StopReason): void
  count(): number
  /** Jobs whose result is not with the reporter yet. */
  unfinished(): number
  /** Every lease, as a claim names them. */
  holding(): Lease[]
  /** Those still worked on and not told to stop. */
  working(): Held[]
  /** As heartbeats tell them. */
  beating(): HeartbeatRequest['leases']
}

export function createLeases({ now = () => performance.now() }: { now?: () => number } = {}): Leases {
  const held = new Map<string, Held>()

  function stop(leases: readonly Lease[], reason: StopReason): Held[] {
    const stopped: Held[] = []
    for (const lease of leases) {
      const mine = held.get(keyOf(lease))
      if (mine === undefined || mine.finished || mine.controller.signal.aborted) continue
      mine.controller.abort(reason)
      stopped.push(mine)
    }
    return stopped
  }

  function hold({ id, attempt }: Lease, { finished }: Pick<Held, 'finished'>): Held {
    const mine: Held = {
      id,
      attempt,
      claimedAt: now(),
      started: finished,
      finished,
      controller: new AbortController(),
    }
    held.set(keyOf(mine), mine)
    return mine
  }

  return {
    take(lease) {
      const { id, attempt } = lease
      if (held.has(keyOf(lease))) return null
      // Attempts are few, and a second one while the first is still here is rare.
      for (let earlier = attempt - 1; earlier > 0; earlier--) stop([{ id, attempt: earlier }], 'lost')
      return hold(lease, { finished: false })
    },
    adopt: lease => void hold(lease, { finished: true }),
    drop(lease) {
      held.delete(keyOf(lease))
    },
    stop,
    stopAll(reason) {
      stop([...held.values()], reason)
    },
    count: () => held.size,
    unfinished: () => [...held.values()].filter(({ finished }) => !finished).length,
    holding: () => [...held.values()].map(({ id, attempt }) => ({ id, attempt })),
    working: () =>
      [...held.values()].filter(({ finished, controller }) => !finished && !controller.signal.aborted),
    beating: () => [...held.values()].map(({ id, attempt, started }) => ({ id, attempt, started })),
  }
}

function keyOf({ id, attempt }: Lease): string {
  return `${id} ${attempt}`
}

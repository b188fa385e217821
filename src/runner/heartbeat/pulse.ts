import type { HeartbeatAnswer, HeartbeatRequest, Lease } from '../../protocol/runner.ts'
import type { State } from './messages.ts'

export type Pulse = {
  /** The main thread has shown itself. */
  alive(): void
  held(leases: HeartbeatRequest['leases']): void
  started(lease: Lease): void
  dropped(leases: readonly Lease[]): void
  /** The containers' health has changed: the edge should not wait for the next beat to offer them, or to stop. */
  news(): void
  /** A beat is due: the regular one, one for news, or an early one for a job that has started, still runs, and was never told. */
  due(): boolean
  /** What to send. */
  leases(): HeartbeatRequest['leases']
  /** Called with what `leases` gave, once the edge has it. Returns the leases that are lost. */
  beaten(sent: HeartbeatRequest['leases'], answer: HeartbeatAnswer): Lease[]
  pace(heartbeatMs: number): void
}

/** A job this old is told to the edge as started, so that a crash of this host counts as a try. Shorter ones never need a beat. */
const earlyMs = 600
/** A main thread that has been silent for so long is taken for wedged: its jobs are better off elsewhere. */
const silenceMs = 10 * 60_000
/** Between two early beats, so that a stream of one-second jobs costs one request a second. */
const earlyGapMs = 750

type Known = { id: string; attempt: number; started: boolean; since: number; told: boolean }

/** What the heartbeat thread knows, with time as an argument. */
export function createPulse({
  state,
  heartbeatMs,
  now,
}: {
  state: Pick<State, 'leases'>
  heartbeatMs: number
  now: () => number
}): Pulse {
  const known = new Map<string, Known>()
  let everyMs = heartbeatMs
  let lastAlive = now()
  let lastBeat = Number.NEGATIVE_INFINITY
  // News are numbered, since more may come while a beat is on its way.
  let news = 0
  let newsSent = 0
  let newsTold = 0

  function held(leases: HeartbeatRequest['leases']): void {
    for (const lease of leases) known.set(keyOf(lease), { ...lease, since: now(), told: false })
  }
  held(state.leases)

  const isSilent = () => now() - lastAlive >= silenceMs

  return {
    alive() {
      lastAlive = now()
    },
    held,
    started(lease) {
      const mine = known.get(keyOf(lease))
      if (mine) mine.started = true
    },
    dropped(leases) {
      for (const lease of leases) known.delete(keyOf(lease))
    },
    news() {
      news += 1
    },
    due() {
      const sinceBeat = now() - lastBeat
      if (sinceBeat >= everyMs || newsTold < news) return true
      if (sinceBeat < earlyGapMs || isSilent()) return false
      return [...known.values()].some(
        ({ started, told, since }) => started && !told && now() - since >= earlyMs,
      )
    },
    leases() {
      newsSent = news
      if (isSilent()) return []
      return [...known.values()].map(({ id, attempt, started }) => ({ id, attempt, started }))
    },
    beaten(sent, { lost }) {
      lastBeat = now()
      newsTold = newsSent
      for (const lease of sent) {
        const mine = known.get(keyOf(lease))
        if (mine && lease.started) mine.told = true
      }
      const gone = lost.filter(lease => known.has(keyOf(lease)))
      for (const lease of gone) known.delete(keyOf(lease))
      return gone
    },
    pace(ms) {
      everyMs = ms
    },
  }
}

function keyOf({ id, attempt }: Lease): string {
  return `${id} ${attempt}`
}

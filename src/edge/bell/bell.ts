import { containersOf, requiresOf } from '../../protocol/container.ts'
import { type HostLabels, labelsAt, meets, type Requires } from '../../protocol/labels.ts'

/**
 * Wakes what waits. A waiter takes a ticket, runs its SQL, then waits on the ticket: it returns at once if anything rang in
 * between. A bell keeps nothing worth keeping: one that vanished comes back with another epoch, and old tickets return at once.
 * A lost ring costs latency, never a job.
 */
export type Ticket = { epoch: string; seq: number }

/**
 * What has come, and how many waiters it is worth waking: jobs by route; on the topic `control`, news by runner or `everyone`; on
 * the topics of `ended.ts`, ends by job.
 */
export type Ring = Record<string, number>

/** Adds to a ring. Containers may be called `constructor`, which every object has already. */
export function addToRing(ring: Ring, name: string, count: number): void {
  ring[name] = (Object.hasOwn(ring, name) ? (ring[name] ?? 0) : 0) + count
}

/** Wakes every waiter that names `everyone`. */
export const ringEveryone: Ring = { everyone: 10_000 }

export type Wait = {
  ticket: Ticket
  /** Who waits: a new wait with the same key replaces the old one, whose caller has gone. */
  key: string
  /** Only rings for a name among these, or for a route made of them, wake this waiter; absent: any ring does. */
  names?: readonly string[] | undefined
  /** Of its host: it is woken for no route that requires others. */
  host?: HostLabels | undefined
  waitMs: number
}

/**
 * The ticket for the next look and wait, and the names that rang since the last; null: nobody knows which. `isReplaced`: a new wait has the
 * key. Whoever waited again would take it back, and the two would go on waking each other.
 */
export type Heard = Ticket & { rung: readonly string[] | null; isReplaced: boolean }

export type Bell = {
  ticket(): Promise<Ticket>
  /** Until something rings, the time is over or the caller leaves. */
  wait(wait: Wait, signal?: AbortSignal): Promise<Heard>
  /**
   * `after`: the ticket of an earlier ring for the same, which may have come too early: only who has begun to wait since is woken.
   * @returns the ticket of who hears this ring, and no later one.
   */
  ring(ring: Ring, after?: Ticket): Promise<Ticket>
}

/** A bell by topic: `claims`, `control`, `question:ID`, and those of `ended.ts`. */
export type Bells = (topic: string) => Bell

/** `seq`: of its ticket. */
type Waiter = {
  key: string
  names: ReadonlySet<string> | undefined
  host: HostLabels | undefined
  seq: number
  wake(): void
  replace(): void
}

/** Beyond these, waiters only sit out their time: nothing wakes them. */
const maxWaiters = 10_000
/** Rings remembered, so that one for others does not send a waiter to look again. */
const maxRecent = 256

/** A bell in this process's memory: the whole of it on Node and Deno, the inside of a Durable Object on Workers. */
export function createBell(epoch: string = crypto.randomUUID()): Bell {
  const waiters = new Map<string, Waiter>()
  /** Who waits for a name: of ten thousand waiters a ring looks at those that it may concern. */
  const byName = new Map<string, Set<Waiter>>()
  /** Who waits for any ring. */
  const forAny = new Set<Waiter>()
  /** The last rings, of which the newest bears `seq`. */
  const recent: Ring[] = []
  let seq = 0

  /** Names that rang since a ticket; null when that is longer ago than anyone remembers. */
  function rungSince(ticket: Ticket): string[] | null {
    const missed = seq - ticket.seq
    if (ticket.epoch !== epoch || missed > recent.length) return null
    return recent.slice(recent.length - missed).flatMap(ring => Object.keys(ring))
  }

  function rangSince(ticket: Ticket, waiter: Pick<Waiter, 'names' | 'host'>): boolean {
    return rungSince(ticket)?.some(name => serves(waiter, name)) ?? true
  }

  function* waitersFor(route: string): Generator<Waiter> {
    yield* [...(byName.get(route) ?? [])]
    // A chain is served by whoever names all of its containers, so by somebody who names the first.
    const rung = rungOf(route)
    const [first = route] = rung.containers
    // One at a time: who comes after the last that is woken need not be looked at.
    if (first !== route)
      for (const waiter of [...(byName.get(first) ?? [])]) if (servesRung(waiter, rung)) yield waiter
    yield* [...forAny]
  }

  /** `after`: of rings, whose waiters are passed by. */
  function wakeFor(route: string, { count, after }: { count: number; after: number }): void {
    let left = count
    for (const waiter of waitersFor(route)) {
      if (left === 0) return
      if (waiters.get(waiter.key) !== waiter || waiter.seq < after) continue
      waiter.wake()
      left -= 1
    }
  }

  function add(waiter: Waiter): void {
    waiters.set(waiter.key, waiter)
    if (!waiter.names) forAny.add(waiter)
    for (const name of waiter.names ?? []) {
      const others = byName.get(name)
      if (others) others.add(waiter)
      else byName.set(name, new Set([waiter]))
    }
  }

  function remove(waiter: Waiter): void {
    // A later wait may have taken the key.
    if (waiters.get(waiter.key) === waiter) waiters.delete(waiter.key)
    forAny.delete(waiter)
    for (const name of waiter.names ?? []) {
      const others = byName.get(name)
      others?.delete(waiter)
      if (others?.size === 0) byName.delete(name)
    }
  }

  return {
    ticket: async () => ({ epoch, seq }),

    async wait({ ticket, key, host, waitMs, ...wait }, signal) {
      const names = wait.names && new Set(wait.names)
      waiters.get(key)?.replace()
      let isReplaced = false
      if (!rangSince(ticket, { names, host }) && !signal?.aborted && waitMs > 0) {
        await new Promise<void>(resolve => {
          const wake = () => {
            clearTimeout(timer)
            signal?.removeEventListener('abort', wake)
            remove(waiter)
            resolve()
          }
          const replace = () => {
            isReplaced = true
            wake()
          }
          const waiter: Waiter = { key, names, host, seq: ticket.seq, wake, replace }
          const timer = setTimeout(wake, waitMs)
          signal?.addEventListener('abort', wake)
          if (waiters.size < maxWaiters) add(waiter)
        })
      }
      return { epoch, seq, rung: rungSince(ticket), isReplaced }
    },

    async ring(ring, earlier) {
      const after = earlier?.epoch === epoch ? earlier.seq : 0
      seq += 1
      recent.push(ring)
      if (recent.length > maxRecent) recent.shift()
      for (const [route, count] of Object.entries(ring)) wakeFor(route, { count, after })
      return { epoch, seq }
    },
  }
}

/** Whether a ring for a route wakes a waiter. */
export function serves(waiter: Pick<Waiter, 'names' | 'host'>, route: string): boolean {
  return servesRung(waiter, rungOf(route))
}

/** A route taken apart, once for all who may wait for it: what is required only when somebody has all the containers. */
type Rung = { route: string; containers: readonly string[]; requires(): Requires | null }

function rungOf(route: string): Rung {
  let requires: Requires | null | undefined
  return {
    route,
    containers: containersOf(route),
    requires() {
      if (requires === undefined) requires = requiresOf(route)
      return requires
    },
  }
}

function servesRung(
  { names, host }: Pick<Waiter, 'names' | 'host'>,
  { route, containers, requires }: Rung,
): boolean {
  if (names === undefined || names.has(route)) return true
  if (!containers.every(name => names.has(name))) return false
  const wanted = requires()
  return (
    wanted === null || (host !== undefined && containers.some(name => meets(labelsAt(host, name), wanted)))
  )
}

/** Bells for a host with one process; the topics longest unused are forgotten beyond 10,000. */
export function createBells(): Bells {
  const bells = new Map<string, Bell>()
  return topic => {
    const bell = bells.get(topic) ?? createBell()
    // Re-inserting keeps the map in order of use, so that the first key is the one longest unused.
    bells.delete(topic)
    bells.set(topic, bell)
    const oldest = bells.keys().next().value
    if (bells.size > maxWaiters && oldest !== undefined) bells.delete(oldest)
    return bell
  }
}

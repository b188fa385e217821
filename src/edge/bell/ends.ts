import { databaseTimeoutMs } from '../db/open.ts'
import { within } from '../within.ts'
import type { Bell, Bells, Heard, Ticket } from './bell.ts'
import { bellOf, topicOf } from './ended.ts'

/** Who waits for jobs' ends in this isolate or process. */
export type Ends = {
  /**
   * Until the job has ended, as far as the bell can tell, or the time is over; it may be early. `hasEnded` is asked once, when from then
   * on no end can be missed.
   * @returns false when so many wait already that this one cannot.
   */
  wait(id: string, wait: EndWait, hasEnded: () => Promise<boolean>): Promise<boolean>
}

export type EndWait = {
  /** By the `now()` that `createEnds` was given. */
  deadline: number
  /** Aborts when the client leaves. */
  signal: AbortSignal
}

export type EndsOptions = { bells: Bells; now(): number; sliceMs?: number }

/** Clients that wait in one isolate. */
export const maxWaiting = 10_000
/** One wait of the leader at the bell: so long a leader that was killed goes unnoticed, and a little longer. */
const defaultSliceMs = 10_000
const graceMs = 2_000
/** Waits at the bell by one leader: each is a request to another service, of which a Worker may make a thousand for one of a client's. */
const maxWaits = 200
/** Pause after a bell has failed: the database is looked at once in this time. */
const failedMs = 1_000

/** What a waiter is told: its job has ended, or it is to listen for all. */
type Call = 'ended' | 'lead'

/** `until`: a leader that was not heard of by then was killed with its request, or is so slow that nobody waits for it. */
type Leading = { leader: Waiter; ticket: Promise<Ticket>; until: number }

/** Waiters of one bell. One of them, the leader, listens to it for all. */
type Circle = {
  bell: Bell
  /** By job. */
  waiters: Map<string, Set<Waiter>>
  leading: Leading | null
}

/**
 * Clients that wait are requests that may not do I/O for each other on Workers, and a wait of each at the bell would be a second request,
 * to a Durable Object, for each: twice the memory. So one of them listens for all that wait at the same bell, and hands that on when its
 * client is answered or leaves.
 */
export function createEnds({ bells, now, sliceMs = defaultSliceMs }: EndsOptions): Ends {
  const circles = new Map<string, Circle>()
  let waiting = 0

  function circleOf(id: string): Circle {
    const topic = topicOf(id)
    const circle = circles.get(topic) ?? { bell: bellOf(bells, id), waiters: new Map(), leading: null }
    circles.set(topic, circle)
    return circle
  }

  function beginLeading(circle: Circle, leader: Waiter): void {
    // The last one is gone, and nobody knows what it heard: all look again.
    if (circle.leading) tellEnded(circle, circle.waiters.keys())
    const ticket = circle.bell.ticket()
    // Whoever awaits it is told; nobody may.
    ticket.catch(() => undefined)
    circle.leading = { leader, ticket, until: untilItListens(leader) }
  }

  /** Who still looks at the database may take as long as that may. */
  function untilItListens({ isLooking }: Waiter): number {
    return now() + graceMs + (isLooking ? databaseTimeoutMs : 0)
  }

  function isLed({ leading }: Circle): boolean {
    return leading !== null && now() < leading.until
  }

  /** Somebody else listens from here on, from where the last one stopped. */
  function handOn(circle: Circle): void {
    const all = [...circle.waiters.values()].flatMap(waiters => [...waiters])
    const next = all.find(waiter => waiter.told() === null)
    if (circle.leading && next) {
      circle.leading = { ...circle.leading, leader: next, until: untilItListens(next) }
      next.tell('lead')
    } else circle.leading = null
  }

  /** @returns null when the time is over. */
  async function follow(waiter: Waiter, circle: Circle, deadline: number): Promise<Call | null> {
    for (;;) {
      const leftMs = deadline - now()
      if (leftMs <= 0) return null
      const ledMs = circle.leading === null ? sliceMs : circle.leading.until - now()
      const call = await within(waiter.called, Math.min(leftMs, ledMs))
      if (call !== null) return call
      if (isLed(circle)) continue
      // Whoever led is gone, and nobody knows what it heard: all look again.
      circle.leading = null
      tellEnded(circle, circle.waiters.keys())
    }
  }

  /** Listens for all, until its own job has ended, another one leads, or it has done so for long enough. */
  async function lead(waiter: Waiter, circle: Circle, { deadline, signal }: EndWait): Promise<void> {
    for (let waits = 0; waits < maxWaits; waits += 1) {
      const waitMs = Math.min(deadline - now(), sliceMs)
      const { leading } = circle
      if (waitMs <= 0 || signal.aborted || waiter.told() === 'ended' || leading?.leader !== waiter) return
      leading.until = now() + waitMs + 2 * graceMs
      const heard = await listen(circle.bell, leading, { waitMs, signal }).catch(() => null)
      if (heard === null) return await pause(Math.min(waitMs, failedMs))
      const { rung, epoch, seq } = heard
      leading.ticket = Promise.resolve({ epoch, seq })
      tellEnded(circle, rung ?? circle.waiters.keys())
    }
  }

  async function listen(
    bell: Bell,
    leading: Leading,
    { waitMs, signal }: { waitMs: number; signal: AbortSignal },
  ): Promise<Heard> {
    const ticket = await within(leading.ticket, graceMs).catch(() => null)
    // Refused, or asked for by a request that is gone: what has rung since, nobody knows.
    if (ticket === null) return { ...(await bell.ticket()), rung: null, isReplaced: false }
    return await bell.wait({ ticket, key: crypto.randomUUID(), waitMs }, signal)
  }

  return {
    async wait(id, { deadline, signal }, hasEnded) {
      if (waiting >= maxWaiting) return false
      if (signal.aborted) return true
      const circle = circleOf(id)
      const waiter = createWaiter(id)
      const isFirst = !isLed(circle)
      if (isFirst) beginLeading(circle, waiter)
      const leave = () => {
        if (!remove(circle, waiter)) return
        waiting -= 1
        // Also when it was told so only as it left. Whoever leads in its place goes on.
        if (circle.leading?.leader === waiter) handOn(circle)
      }
      add(circle, waiter)
      waiting += 1
      // Once the client has left, on Workers nothing of this function runs but this.
      signal.addEventListener('abort', leave)
      try {
        if (circle.leading) await within(circle.leading.ticket, graceMs).catch(() => null)
        if (await hasEnded()) return true
        waiter.isLooking = false
        if (isFirst || (await follow(waiter, circle, deadline)) === 'lead')
          await lead(waiter, circle, { deadline, signal })
        return true
      } finally {
        signal.removeEventListener('abort', leave)
        leave()
      }
    },
  }
}

type Waiter = {
  id: string
  /** It has not been told yet whether its job has ended already. */
  isLooking: boolean
  called: Promise<Call>
  told(): Call | null
  tell(call: Call): void
}

function createWaiter(id: string): Waiter {
  const { promise: called, resolve } = Promise.withResolvers<Call>()
  let told: Call | null = null
  return {
    id,
    isLooking: true,
    called,
    told: () => told,
    tell(call) {
      told = call
      resolve(call)
    },
  }
}

function tellEnded({ waiters }: Circle, ids: Iterable<string>): void {
  for (const id of [...ids]) for (const waiter of waiters.get(id) ?? []) waiter.tell('ended')
}

function add({ waiters }: Circle, waiter: Waiter): void {
  const others = waiters.get(waiter.id)
  if (others) others.add(waiter)
  else waiters.set(waiter.id, new Set([waiter]))
}

/** @returns false when it is not there any more. */
function remove({ waiters }: Circle, waiter: Waiter): boolean {
  const others = waiters.get(waiter.id)
  const wasThere = others?.delete(waiter) ?? false
  if (others?.size === 0) waiters.delete(waiter.id)
  return wasThere
}

async function pause(ms: number): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, ms))
}

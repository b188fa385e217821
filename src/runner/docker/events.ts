import * as v from 'valibot'
import { createBackoff } from '../backoff.ts'
import type { Log } from '../log.ts'
import { createNotice, type Notice } from '../notice.ts'
import { sleep } from '../sleep.ts'
import { createTrouble } from '../trouble.ts'
import type { Engine } from './engine.ts'
import { linesOf } from './lines.ts'
import { label } from './spec.ts'

/** What the engine says of this runner's containers, at the moment that it happens. */
export type Events = {
  /** Rises with everything that happens to a container of that name, or may have happened unseen. */
  count(name: string): number
  /** Resolves once the count is another, when the signal aborts, or when it is time to look all the same: after `ms`, where it is given. */
  next(name: string, count: number, signal: AbortSignal, ms?: number): Promise<void>
  /**
   * When the container with this id last ran out of memory, on the monotonic clock. It may go on: the kernel kills one process.
   */
  outOfMemoryAt(id: string): number | undefined
  /** From when on the engine is heard without a break, on the monotonic clock; null: it is not. */
  heardSince(): number | null
  /** Rises when the engine is heard again, or no more. */
  gaps(): number
  /** Resolves when `gaps` is another, after `ms`, or when the signal aborts. */
  gap(seen: number, signal: AbortSignal, ms: number): Promise<void>
  /** Listens until the signal aborts. */
  listen(): Promise<void>
}

export type EventsOptions = { engine: Engine; scope: string; log: Log; signal: AbortSignal }

/** An engine that is not heard is asked so often, and one that is, lest a line of it was lost on the way. */
const askAgainMs = { deaf: 10_000, hearing: 60_000 } as const
const reconnecting = { baseMs: 200, capMs: 5_000 }
/** An engine that ends each stream at once is not heard again: whoever waits for that would look with each of them. */
const steadyMs = 5_000
const wanted = ['start', 'oom', 'die', 'stop', 'destroy', 'pause', 'unpause']

const Event = v.object({
  Action: v.string(),
  Actor: v.object({ ID: v.string(), Attributes: v.object({ name: v.string() }) }),
})
const Line = v.pipe(v.string(), v.parseJson(), Event)

export function createEvents({ engine, scope, log, signal }: EventsOptions): Events {
  const counts = new Map<string, number>()
  const happened: Notice = createNotice()
  const outOfMemoryAt = new Map<string, number>()
  const trouble = createTrouble({ log, what: "Listening to Docker's events" })
  /** Of all containers: rises when something may have been missed. */
  let gaps = 0
  let heardSince: number | null = null

  const count = (name: string) => gaps + (counts.get(name) ?? 0)

  function hear(line: string): void {
    const parsed = v.safeParse(Line, line)
    if (!parsed.success) return
    const { Action, Actor } = parsed.output
    const { name } = Actor.Attributes
    if (Action === 'oom') outOfMemoryAt.set(Actor.ID, performance.now())
    if (Action === 'destroy') outOfMemoryAt.delete(Actor.ID)
    counts.set(name, (counts.get(name) ?? 0) + 1)
    happened.post()
  }

  function gap(): void {
    gaps++
    happened.post()
  }

  async function listenOnce(onSteady: () => void): Promise<void> {
    const filters = { type: ['container'], label: [`${label.scope}=${scope}`], event: wanted }
    const path = `/events?filters=${encodeURIComponent(JSON.stringify(filters))}`
    const { body } = await engine.send({ method: 'GET', path, signal })
    heardSince = performance.now()
    gap()
    const steady = setTimeout(onSteady, steadyMs)
    try {
      for await (const line of linesOf(body)) hear(line)
    } finally {
      clearTimeout(steady)
    }
    throw new Error('The engine has ended the stream of events')
  }

  async function changed(isChanged: () => boolean, until: AbortSignal, ms: number): Promise<void> {
    const deadline = performance.now() + ms
    while (!until.aborted && !isChanged()) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) return
      await happened.wait(until, leftMs)
    }
  }

  return {
    count,
    next: (name, seen, until, ms = heardSince === null ? askAgainMs.deaf : askAgainMs.hearing) =>
      changed(() => count(name) !== seen, until, ms),
    outOfMemoryAt: id => outOfMemoryAt.get(id),
    heardSince: () => heardSince,
    gaps: () => gaps,
    gap: (seen, until, ms) => changed(() => gaps !== seen, until, ms),
    async listen() {
      const backoff = createBackoff(reconnecting)
      while (!signal.aborted) {
        try {
          await listenOnce(() => {
            trouble.over()
            backoff.reset()
          })
        } catch (error) {
          if (signal.aborted) return
          trouble.failed(error)
          engine.forget()
          if (heardSince !== null) gap()
          heardSince = null
          await sleep(backoff.next(), signal)
        }
      }
    },
  }
}

import type { ClaimRequest } from '../protocol/runner.ts'
import type { Containers } from './containers.ts'
import { createNotice } from './notice.ts'

export type Slots = {
  /** Ready containers with free slots, as a claim offers them. */
  offers(): ClaimRequest['routes']
  /** Takes a slot of each container of a job, for as long as the job lasts. */
  reserve(chain: readonly string[]): void
  release(chain: readonly string[]): void
  /** Calls back when a container that offered nothing has a free slot again. */
  onFreed(freed: (container: string) => void): void
  /**
   * Takes the turn to call a container; `leave` is due after. Almost always at once: only when the edge gave more jobs than were
   * offered (two chains through one container) does a job wait here. False: the signal aborted first, and no turn was taken.
   */
  enter(container: string, signal: AbortSignal): boolean | Promise<boolean>
  leave(container: string): void
  /** Offers no slot of a container any more, until it is opened as often as it was closed. Jobs that hold one go on, and may call it. */
  close(container: string): void
  open(container: string): void
  /** Calls back when slots that were offered are not any more: the container is closed, or down. */
  onClosed(closed: () => void): void
  /** Jobs that hold a slot of the container. */
  inHand(container: string): number
  /** Resolves when there are none, or the signal aborts. */
  idle(container: string, signal: AbortSignal): Promise<void>
}

type Counter = { reserved: number; calling: number; queue: Set<() => void> }

export function createSlots(containers: Containers): Slots {
  const counters = new Map<string, Counter>()
  /** How often a container is closed: one that is replaced may have to go meanwhile. */
  const shut = new Map<string, number>()
  const released = createNotice()
  let freed: (container: string) => void = () => {}
  let closed: () => void = () => {}

  function counterOf(id: string): Counter {
    const counter = counters.get(id) ?? { reserved: 0, calling: 0, queue: new Set() }
    counters.set(id, counter)
    return counter
  }

  const slotsOf = (id: string) => containers.get(id)?.config.slots ?? 0
  const isReady = (id: string) => containers.get(id)?.health === 'ready' && !shut.has(id)
  const offer = (id: string) => {
    if (isReady(id) && counterOf(id).reserved < slotsOf(id)) freed(id)
  }
  /** Those that a claim may have listed. */
  const ready = new Set<string>()
  containers.watch(({ config: { id } }) => {
    if (isReady(id)) ready.add(id)
    else if (ready.delete(id)) closed()
    offer(id)
  })

  return {
    offers() {
      const routes: ClaimRequest['routes'] = []
      for (const { config } of containers.all()) {
        const free = config.slots - counterOf(config.id).reserved
        if (free > 0 && isReady(config.id)) routes.push({ route: config.id, slots: free })
      }
      return routes
    },
    reserve(chain) {
      for (const id of chain) counterOf(id).reserved++
    },
    release(chain) {
      for (const id of chain) if (counterOf(id).reserved-- === slotsOf(id) && isReady(id)) freed(id)
      released.post()
    },
    onFreed(callback) {
      freed = callback
    },
    close(id) {
      shut.set(id, (shut.get(id) ?? 0) + 1)
      closed()
    },
    open(id) {
      const times = (shut.get(id) ?? 0) - 1
      if (times > 0) shut.set(id, times)
      else shut.delete(id)
      offer(id)
    },
    onClosed(callback) {
      closed = callback
    },
    inHand: id => counterOf(id).reserved,
    async idle(id, signal) {
      while (counterOf(id).reserved > 0 && !signal.aborted) await released.wait(signal)
    },
    enter(id, signal) {
      if (signal.aborted) return false
      const counter = counterOf(id)
      if (counter.calling < slotsOf(id)) {
        counter.calling++
        return true
      }
      return new Promise(resolve => {
        const give = () => resolve(true)
        counter.queue.add(give)
        signal.addEventListener('abort', () => counter.queue.delete(give) && resolve(false), { once: true })
      })
    },
    leave(id) {
      const counter = counterOf(id)
      const [next] = counter.queue
      // The turn passes on without becoming free in between.
      if (next === undefined) counter.calling--
      else if (counter.queue.delete(next)) next()
    },
  }
}

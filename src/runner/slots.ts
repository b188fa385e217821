import type { ClaimRequest } from '../protocol/runner.ts'
import type { Containers } from './containers.ts'

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
}

type Counter = { slots: number; reserved: number; calling: number; queue: Set<() => void> }

export function createSlots(containers: Containers): Slots {
  const counters = new Map<string, Counter>(
    containers
      .all()
      .map(({ config }) => [config.id, { slots: config.slots, reserved: 0, calling: 0, queue: new Set() }]),
  )
  let freed: (container: string) => void = () => {}

  const isReady = (id: string) => containers.get(id)?.health === 'ready'
  containers.watch(({ config }) => {
    const counter = counters.get(config.id)
    if (counter && isReady(config.id) && counter.reserved < counter.slots) freed(config.id)
  })

  return {
    offers() {
      const routes: ClaimRequest['routes'] = []
      for (const [route, { slots, reserved }] of counters)
        if (reserved < slots && isReady(route)) routes.push({ route, slots: slots - reserved })
      return routes
    },
    reserve(chain) {
      for (const id of chain) {
        const counter = counters.get(id)
        if (counter) counter.reserved++
      }
    },
    release(chain) {
      for (const id of chain) {
        const counter = counters.get(id)
        if (counter && counter.reserved-- === counter.slots && isReady(id)) freed(id)
      }
    },
    onFreed(callback) {
      freed = callback
    },
    enter(id, signal) {
      if (signal.aborted) return false
      const counter = counters.get(id)
      if (counter === undefined || counter.calling < counter.slots) {
        if (counter) counter.calling++
        return true
      }
      return new Promise(resolve => {
        const give = () => resolve(true)
        counter.queue.add(give)
        signal.addEventListener('abort', () => counter.queue.delete(give) && resolve(false), { once: true })
      })
    },
    leave(id) {
      const counter = counters.get(id)
      if (counter === undefined) return
      const [next] = counter.queue
      // The turn passes on without becoming free in between.
      if (next === undefined) counter.calling--
      else if (counter.queue.delete(next)) next()
    },
  }
}

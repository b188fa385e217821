import { setImmediate } from 'node:timers/promises'
import type { Containers } from './containers.ts'
import type { Log } from './log.ts'
import type { Slots } from './slots.ts'

/** Has a container given no jobs, and resolves when those that it has are done, or time is up. The answer ends that. */
export type Drain = (container: string) => Promise<() => void>

export type DrainOptions = {
  containers: Containers
  slots: Slots
  timeoutMs: () => number
  log: Log
  signal: AbortSignal
}

/** Of one container, while the runner goes on. */
export function createDrain({ containers, slots, timeoutMs, log, signal }: DrainOptions): Drain {
  return async container => {
    slots.close(container)
    // A claim that was answered just before is being read.
    await setImmediate()
    await slots.idle(container, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs())]))
    const jobs = slots.inHand(container)
    if (jobs > 0) {
      log.warn('Jobs of a container did not end in time, and are cut off', { container, jobs })
      containers.blame(container, {
        code: 'exited',
        detail: `it was taken down, since the job did not end within ${timeoutMs() / 1000} s`,
      })
    }
    return () => slots.open(container)
  }
}

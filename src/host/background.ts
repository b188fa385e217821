import { describe, type Log } from '../edge/log.ts'

/** Work that goes on whether its client stays or not. */
export type Background = {
  run(work: Promise<unknown>): void
  /** Until all of it has ended, what it starts in turn included. */
  settled(): Promise<void>
}

export function createBackground(log: Log): Background {
  const pending = new Set<Promise<void>>()
  return {
    run(work) {
      const watched: Promise<void> = work
        .then(
          () => {},
          error => log.error('Background work failed', { error: describe(error) }),
        )
        .finally(() => pending.delete(watched))
      pending.add(watched)
    },
    async settled() {
      while (pending.size > 0) await Promise.all(pending)
    },
  }
}

import type { Gate } from './gate.ts'
import type { Work } from './stream.ts'

// Another process may hold the file's lock, and it does not open our gate.
const POLL_MS = 50

export type Driver = {
  gate: Gate
  busyMs: number
  now: () => number
  /** Called after each stretch of work, before anything else can run. */
  afterStep: () => void
  /** Called before each new try of a refused statement. */
  beforeRetry: () => void
}

/** Runs work to its end. Without contention that is synchronous; a refused statement waits at the gate for `busyMs`. */
export function drive<T>(work: Work<T>, driver: Driver): T | Promise<T> {
  // The first next() starts the generator; its argument goes nowhere.
  const first = next(work, true, driver)
  return first.done ? first.value : driveOn(work, first, driver)
}

async function driveOn<T>(work: Work<T>, first: IteratorYieldResult<number>, driver: Driver): Promise<T> {
  const { gate, busyMs, now, beforeRetry } = driver
  let step: IteratorResult<number, T> = first
  let deadline = 0
  while (step.done !== true) {
    if (step.value === 0) deadline = now() + busyMs
    const left = deadline - now()
    if (left > 0) {
      await gate.wait(Math.min(left, POLL_MS))
      beforeRetry()
    }
    step = next(work, left > 0, driver)
  }
  return step.value
}

function next<T>(work: Work<T>, retry: boolean, driver: Driver): IteratorResult<number, T> {
  try {
    return work.next(retry)
  } finally {
    driver.afterStep()
  }
}

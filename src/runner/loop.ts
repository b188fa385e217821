import { createBackoff } from './backoff.ts'
import type { Log } from './log.ts'
import { sleep } from './sleep.ts'
import { messageOf } from './trouble.ts'

/** Runs a loop until the signal aborts. One that throws has a defect: it is told, and the loop begins anew. */
export async function keepRunning(
  name: string,
  loop: () => Promise<void>,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<void> {
  const backoff = createBackoff({ baseMs: 500 })
  while (!signal.aborted) {
    try {
      await loop()
    } catch (error) {
      log.error(`The ${name} loop failed`, { error: messageOf(error) })
    }
    if (!signal.aborted) await sleep(backoff.next(), signal)
  }
}

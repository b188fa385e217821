import { describe, type Log } from '../log.ts'
import { pause } from './pause.ts'

/** How often, and how long, what failed is tried again. */
export type Patience = {
  /** Pauses, longer each time. @throws the error when it has failed for too long. */
  failed(error: unknown): Promise<void>
  succeeded(): void
}

export type PatienceOptions = { log: Log; now(): number; signal: AbortSignal }

const pauseMs = { least: 50, most: 1_000 }
/** A database that is away for longer breaks off what waits for it. */
const patienceMs = 120_000

export function createPatience({ log, now, signal }: PatienceOptions): Patience {
  let failures = 0
  let since = 0
  return {
    async failed(error) {
      if (failures === 0) since = now()
      if (now() - since > patienceMs) throw error
      if (failures === 0) log.warn('To be tried again', { error: describe(error) })
      await pause(Math.min(pauseMs.least * 2 ** failures, pauseMs.most), signal)
      failures += 1
    },
    succeeded() {
      failures = 0
    },
  }
}

/** What comes of work that is done again as often as it fails. @throws its error when that is too long, or nobody waits any more. */
export async function persist<Value>(options: PatienceOptions, work: () => Promise<Value>): Promise<Value> {
  const patience = createPatience(options)
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (options.signal.aborted) throw error
      await patience.failed(error)
    }
  }
}

import type { ClaimedJob } from '../../protocol/runner.ts'

/** Of a job's own time. */
export type Clock = {
  /** Runs from here on, unless it runs already. */
  run(): void
  /** Stands still, and then begins anew. */
  reset(): void
}

/** At the end of the job's time its controller aborts with `deadline`. */
export function createClock(
  { timeout_ms: timeoutMs }: Pick<ClaimedJob, 'timeout_ms'>,
  controller: AbortController,
): Clock {
  let timer: NodeJS.Timeout | undefined

  return {
    run() {
      if (timeoutMs !== null) timer ??= setTimeout(() => controller.abort('deadline'), timeoutMs)
    },
    reset() {
      clearTimeout(timer)
      timer = undefined
    },
  }
}

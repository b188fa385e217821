import { describe, type Log } from '../edge/log.ts'

export type Schedule = {
  /** Resolves when what is under way has ended. */
  stop(): Promise<void>
}

export type ScheduleOptions = { everyMs: number; work(): Promise<void>; log: Log }

/** Does some work every so often, never twice at once. One that fails is logged, and does not keep the next from its time. */
export function startSchedule({ everyMs, work, log }: ScheduleOptions): Schedule {
  let underWay: Promise<void> | null = null
  const timer = setInterval(() => {
    underWay ??= work()
      .catch(error => log.error('Schedule failed', { error: describe(error) }))
      .finally(() => {
        underWay = null
      })
  }, everyMs)
  return {
    async stop() {
      clearInterval(timer)
      await underWay
    },
  }
}

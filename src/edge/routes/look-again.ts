import type { HostLabels } from '../../protocol/labels.ts'
import type { Bell } from '../bell/bell.ts'
import type { Context as App } from '../context.ts'
import { type Claimed, type Outlook, readOutlook } from '../jobs/claim.ts'

export type LookAgainOptions = {
  app: Pick<App, 'db' | 'now'>
  bell: Bell
  /** Who waits, for which containers, and on what host. */
  key: string
  names: readonly string[]
  host: HostLabels
  /** By `app.now`. */
  deadline: number
  signal: AbortSignal
  look(): Promise<Claimed>
}

/** Claims that wait for the same lapse look one after another. */
const lapseJitterMs = 500

/** What a claim does that has found nothing: it waits and looks again, until there are jobs, its time is over, or the runner has left. */
export async function lookAgain(options: LookAgainOptions): Promise<Claimed> {
  const { app, bell, key, names, deadline, signal, look } = options
  let { host } = options
  let ticket = await bell.ticket()
  let rung = false
  while (!signal.aborted) {
    // Whoever is rung for looks at once; asking first would cost each job a round trip.
    const outlook = rung ? null : await readOutlook(app.db)
    if (outlook === null || outlook.waiting || outlook.lapsed) {
      const claimed = await look()
      if (!claimed.passed || claimed.jobs.length > 0) return claimed
      host = claimed.host
    }
    const leftMs = deadline - app.now()
    if (leftMs <= 0) break
    rung = false
    if (outlook === null) continue
    const waitMs = Math.min(leftMs, untilLapseMs(outlook))
    const until = app.now() + waitMs
    ticket = await bell.wait({ ticket, key, names, host, waitMs }, signal)
    // Also by a later claim of the same instance, as the look will tell.
    rung = app.now() < until
  }
  return { passed: true, jobs: [], lapsed: [], host }
}

/**
 * No ring tells of a lease that lapses while everybody waits. Where every runner lives, none lapses within a wait. One that has lapsed
 * already and stays is held by this claim itself: its report is on its way.
 */
function untilLapseMs({ lapseMs }: Outlook): number {
  return lapseMs === null ? Number.POSITIVE_INFINITY : lapseMs + lapseJitterMs * Math.random()
}

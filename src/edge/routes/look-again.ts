import type { HostLabels } from '../../protocol/labels.ts'
import { type Bell, serves } from '../bell/bell.ts'
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

/** `unheard`: what it was rung for, and has not looked for since. */
export type LookedAgain = { claimed: Claimed; unheard: readonly string[] }

/** What a claim does that has found nothing: it waits and looks again, until there are jobs, its time is over, or the runner has left. */
export async function lookAgain(options: LookAgainOptions): Promise<LookedAgain> {
  const { app, bell, key, names, deadline, signal, look } = options
  let { host } = options
  let ticket = await bell.ticket()
  let rung = false
  let unheard: readonly string[] = []
  while (!signal.aborted) {
    // Whoever is rung for looks at once; asking first would cost each job a round trip.
    const outlook = rung ? null : await readOutlook(app.db)
    if (outlook === null || outlook.waiting || outlook.lapsed) {
      const claimed = await look()
      if (!claimed.passed) return { claimed, unheard }
      if (claimed.jobs.length > 0) return { claimed, unheard: [] }
      unheard = []
      host = claimed.host
    }
    const leftMs = deadline - app.now()
    if (leftMs <= 0) break
    rung = false
    if (outlook === null) continue
    const waitMs = Math.min(leftMs, untilLapseMs(outlook))
    const until = app.now() + waitMs
    // News of this process, too: it may have been told that its host has something more.
    const heard = await bell.wait({ ticket, key, names: [...names, key], host, waitMs }, signal)
    ticket = heard
    const waiter = { names: new Set(names), host }
    unheard = heard.rung?.filter(name => serves(waiter, name)) ?? names
    // Also by a later claim of the same instance, as the look will tell.
    rung = app.now() < until
  }
  return { claimed: { passed: true, jobs: [], lapsed: [], host }, unheard: [] }
}

/**
 * No ring tells of a lease that lapses while everybody waits. Where every runner lives, none lapses within a wait. One that has lapsed
 * already and stays is held by this claim itself: its report is on its way.
 */
function untilLapseMs({ lapseMs }: Outlook): number {
  return lapseMs === null ? Number.POSITIVE_INFINITY : lapseMs + lapseJitterMs * Math.random()
}

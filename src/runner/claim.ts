import { destination } from '../protocol/job.ts'
import { limits } from '../protocol/limits.ts'
import type { ClaimAnswer, ClaimRequest } from '../protocol/runner.ts'
import { createBackoff } from './backoff.ts'
import { cameEarly, pollPauseMs } from './early.ts'
import { claim } from './edge/claim.ts'
import type { Edge } from './edge/connect.ts'
import { type Caps, isSilence, paceOf } from './edge/retry.ts'
import type { Leases } from './leases.ts'
import type { Log } from './log.ts'
import type { Notice } from './notice.ts'
import { sleep } from './sleep.ts'
import type { Slots } from './slots.ts'
import { createTrouble, messageOf } from './trouble.ts'

export type ClaimLoopOptions = {
  edge: Edge
  instance: string
  leases: Leases
  slots: Slots
  waitMs: () => number
  /** A silence of the edge that is longer may have outlived leases. */
  lapseMs: () => number
  /** False: no new work for the moment (paused, or the spool is full). */
  open: () => boolean
  /** Posted when `open` or the free slots may have changed. */
  changed: Notice
  /** Registers, reports what is in the spool, and beats: due before a claim after any gap. Wakes what waits for the edge. */
  recover: (signal: AbortSignal) => Promise<void>
  work: (jobs: ClaimAnswer['jobs']) => void
  log: Log
  signal: AbortSignal
}

/**
 * A claim that overlooks a free container lives for at least three round trips, so that an answer under way is not cut off: each
 * lost answer costs its jobs an attempt, and each abort a connection.
 */
const settleMs = { least: 25, roundTrips: 3, most: 1_000 } as const
/** This loop finds out for the others that the edge is back, and so asks more often than they would. */
const askAgainMs: Caps = { silent: 500, refused: 2_000 }
/**
 * After an outage that may have outlived leases, every runner comes back within `askAgainMs`, and reports and beats first. One that
 * claimed at once would be given what another one holds, or has finished and not yet told.
 */
const otherRunnersMs = { silent: 1_250, refused: 2_500 } as const
/**
 * Somebody waits for a stream's first byte, and the next claim would be ahead of it everywhere: it writes, and waits for the disk. Where
 * the edge is on the same machine that is 2 of 8 ms.
 */
const firstByteMs = 5
/** The last claim of a drain is a courtesy. */
const lastClaimMs = 3_000

/**
 * Asks for jobs, one request at a time. An aborted claim loses nothing: the next one names what this process holds, and the edge
 * gives out again what was lost on the way.
 */
export async function claimLoop(options: ClaimLoopOptions): Promise<void> {
  const { edge, instance, leases, slots, changed, log, signal } = options
  const trouble = createTrouble({ log, what: 'Claiming jobs' })
  const backoff = createBackoff()
  let gap: 'none' | 'begin' | 'silent' | 'refused' = 'begin'
  let heardAt = performance.now()
  let seq = 0
  let interrupted = false
  /** Called when a container that offered nothing has a free slot again. */
  let overlooked: (container: string) => void = () => {}

  slots.onClosed(changed.post)
  slots.onFreed(container => {
    changed.post()
    overlooked(container)
  })

  /** Free slots, unless there is a reason to claim nothing. */
  function offers(): ClaimRequest['routes'] {
    const room = limits.holding - leases.count()
    return options.open() && room >= limits.claimJobs ? slots.offers() : []
  }

  function ask(routes: ClaimRequest['routes'], { waitMs, until }: { waitMs: number; until: AbortSignal }) {
    const free = routes.reduce((sum, route) => sum + route.slots, 0)
    const max = Math.max(1, Math.min(limits.claimJobs, free))
    return claim(
      edge,
      { instance, seq: ++seq, routes, holding: leases.holding(), max, wait_ms: waitMs },
      until,
    )
  }

  /** Whether a claim offers what could not take a job any more. */
  function isStale(listed: ReadonlySet<string>): boolean {
    const offered = new Set(offers().map(({ route }) => route))
    return [...listed].some(route => !offered.has(route))
  }

  /** Waits for jobs, or until a claim would list something else: a container that has a free slot now, or none any more; null in that case. */
  async function askUntilOverlooked(routes: ClaimRequest['routes']): Promise<ClaimAnswer['jobs'] | null> {
    const controller = new AbortController()
    const abort = () => controller.abort(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    const listed = new Set(routes.map(({ route }) => route))
    const askedAt = performance.now()
    let timer: NodeJS.Timeout | undefined
    const askAnew = () => {
      if (timer !== undefined) return
      const settled = Math.min(
        settleMs.most,
        Math.max(settleMs.least, settleMs.roundTrips * edge.roundTripMs()),
      )
      const leftMs = Math.max(0, askedAt + settled - performance.now())
      timer = setTimeout(() => controller.abort('overlooked'), leftMs)
    }
    overlooked = container => {
      if (!listed.has(container)) askAnew()
    }
    const answered = new AbortController()
    const watching = AbortSignal.any([controller.signal, answered.signal])
    // At once: the edge must not give out what would fail, or wait for a container that is being drained.
    const watch = async () => {
      while (!watching.aborted) {
        if (isStale(listed)) controller.abort('overlooked')
        await changed.wait(watching)
      }
    }
    void watch()
    try {
      return (await ask(routes, { waitMs: options.waitMs(), until: controller.signal })).jobs
    } catch (error) {
      if (error === 'overlooked') return null
      interrupted = signal.aborted
      throw error
    } finally {
      answered.abort()
      clearTimeout(timer)
      overlooked = () => {}
      signal.removeEventListener('abort', abort)
    }
  }

  async function catchUp(): Promise<void> {
    const silenceMs = performance.now() - heardAt
    await options.recover(signal)
    if (gap === 'silent' || gap === 'refused')
      if (silenceMs > options.lapseMs()) await sleep(otherRunnersMs[gap], signal)
  }

  async function turn(): Promise<void> {
    if (gap !== 'none') await catchUp()
    gap = 'none'
    // It may have been long: a claim begun after the end was called would not hear of it.
    if (signal.aborted) return
    const routes = offers()
    if (routes.length === 0) return await changed.wait(signal, 1_000)
    const askedAt = performance.now()
    const jobs = await askUntilOverlooked(routes)
    heardAt = performance.now()
    trouble.over()
    backoff.reset()
    if (jobs === null) return
    options.work(jobs)
    if (jobs.length > 0 && jobs.every(isStream)) await sleep(firstByteMs, signal)
    const early = cameEarly({ elapsedMs: performance.now() - askedAt, waitMs: options.waitMs() })
    if (jobs.length === 0 && early) await changed.wait(signal, pollPauseMs())
  }

  while (!signal.aborted) {
    try {
      await turn()
    } catch (error) {
      if (signal.aborted) break
      gap = isSilence(error) ? 'silent' : 'refused'
      trouble.failed(error)
      await sleep(paceOf(error, backoff, askAgainMs), signal)
    }
  }
  // What the edge put into the answer that we cut off goes back into the queue with this, and not only when its leases lapse.
  if (interrupted && signal.reason === 'drain')
    await ask([], { waitMs: 0, until: AbortSignal.timeout(lastClaimMs) }).catch((error: unknown) =>
      log.debug('The last claim failed', { error: messageOf(error) }),
    )
}

function isStream(job: ClaimAnswer['jobs'][number]): boolean {
  return job.destination === destination.stream
}

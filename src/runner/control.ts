import type { ControlAnswer, Lease, Question } from '../protocol/runner.ts'
import { createBackoff } from './backoff.ts'
import { cameEarly, pollPauseMs } from './early.ts'
import type { Edge } from './edge/connect.ts'
import { control } from './edge/control.ts'
import { type Caps, paceOf } from './edge/retry.ts'
import type { Leases } from './leases.ts'
import type { Log } from './log.ts'
import type { Notice } from './notice.ts'
import { sleep } from './sleep.ts'
import { createTrouble } from './trouble.ts'

export type Mode = ControlAnswer['mode']

export type ControlLoopOptions = {
  edge: Edge
  instance: string
  leases: Leases
  waitMs: () => number
  mode: () => Mode
  onMode: (mode: Mode) => void
  onCancel: (leases: readonly Lease[]) => void
  /** False when this question is being answered already. */
  onQuestion: (question: Question) => boolean
  /** Posted when the edge is back. */
  back: Notice
  log: Log
  signal: AbortSignal
}

/** The edge judges the leases that a poll names. One that has run this long unnamed is worth another poll. */
const unnamedMs = 500

/** As claims: while they get through, nothing else tells this loop that the edge is back, and a cancelled job runs on. */
const askAgainMs: Caps = { silent: 1_500, refused: 2_000 }

/** Listens for orders with a long poll. */
export async function controlLoop(options: ControlLoopOptions): Promise<void> {
  const { edge, instance, leases, signal } = options
  const trouble = createTrouble({ log: options.log, what: 'Listening for orders' })
  const backoff = createBackoff()

  async function poll(): Promise<ControlAnswer | null> {
    const named = leases.working()
    const controller = new AbortController()
    const abort = () => controller.abort(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    const timer = setInterval(() => {
      if (anyUnnamed(leases, new Set(named))) controller.abort('unnamed')
    }, unnamedMs)
    try {
      const holding = named.map(({ id, attempt }) => ({ id, attempt }))
      return await control(
        edge,
        { instance, holding, mode: options.mode(), wait_ms: options.waitMs() },
        controller.signal,
      )
    } catch (error) {
      if (error === 'unnamed') return null
      throw error
    } finally {
      clearInterval(timer)
      signal.removeEventListener('abort', abort)
    }
  }

  /** Whether there was anything in it. */
  function obey({ cancel, mode, questions }: ControlAnswer): boolean {
    const newMode = mode !== options.mode()
    if (newMode) options.onMode(mode)
    if (cancel.length > 0) options.onCancel(cancel)
    const fresh = questions.filter(options.onQuestion)
    return newMode || cancel.length > 0 || fresh.length > 0
  }

  while (!signal.aborted) {
    try {
      const askedAt = performance.now()
      const answer = await poll()
      trouble.over()
      backoff.reset()
      if (answer === null || obey(answer)) continue
      if (cameEarly({ elapsedMs: performance.now() - askedAt, waitMs: options.waitMs() }))
        await sleep(pollPauseMs(), signal)
    } catch (error) {
      if (signal.aborted) break
      trouble.failed(error)
      await options.back.wait(signal, paceOf(error, backoff, askAgainMs))
    }
  }
}

function anyUnnamed(leases: Leases, named: ReadonlySet<unknown>): boolean {
  const before = performance.now() - unnamedMs
  return leases.working().some(lease => !named.has(lease) && lease.claimedAt <= before)
}

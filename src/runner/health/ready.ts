import { sleep } from '../sleep.ts'
import { type Probed, type ProbeOptions, probe } from './probe.ts'

/** Asked often at first, for those that are quick; each leaves a line in the logs of many servers. */
const probeMs = { quick: 100, slow: 1_000, quickFor: 10_000 } as const

export type ReadyOptions = ProbeOptions & {
  /** Until it answers at all. */
  startMs: number
  /** From then on, until it is ready. */
  readyMs: number
  signal: AbortSignal
}

/**
 * Asks a container until it is ready, says that it has failed, or one of the times is over. Gives the last answer: `silent` or `loading`
 * when time was up.
 */
export async function untilReady(
  baseUrl: string,
  { startMs, readyMs, signal, ...options }: ReadyOptions,
): Promise<Probed> {
  const begunAt = performance.now()
  let last: Probed = { state: 'silent', detail: 'it was not asked' }
  let until = begunAt + startMs
  while (!signal.aborted && performance.now() < until) {
    const found = await probe(baseUrl, options)
    if (found.state === 'ready' || found.state === 'failed') return found
    if (found.state === 'loading' && last.state === 'silent') until = performance.now() + readyMs
    // A probe that got no answer while it loads says nothing new.
    if (found.state === 'loading' || last.state === 'silent') last = found
    const young = performance.now() - begunAt < probeMs.quickFor
    await sleep(young ? probeMs.quick : probeMs.slow, signal)
  }
  return last
}

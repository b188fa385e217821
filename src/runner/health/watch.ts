import type { Agent } from 'undici'
import type { Containers, Target } from '../containers.ts'
import { sleep } from '../sleep.ts'
import { probe } from './probe.ts'

export type WatchOptions = {
  containers: Containers
  agent: Agent
  /** One that was ready says that it has failed. */
  onFailed: (target: Target, detail: string) => void
  signal: AbortSignal
  everyMs?: number
}

/** Asks containers that tell of their own state how they are, as long as they are taken for ready. */
export async function watchHealth({
  containers,
  agent,
  onFailed,
  signal,
  everyMs = 10_000,
}: WatchOptions): Promise<void> {
  async function look(target: Target): Promise<void> {
    const found = await probe(target.baseUrl, { container: target.config, agent })
    // Judged by somebody else meanwhile.
    if (containers.get(target.config.id)?.judged !== target.judged) return
    if (found.state === 'failed') onFailed(target, found.detail)
  }

  while (!signal.aborted) {
    await sleep(everyMs, signal)
    if (signal.aborted) return
    const told = containers.all().filter(({ config, health }) => config.api === 'cog' && health === 'ready')
    await Promise.all(told.map(look))
  }
}

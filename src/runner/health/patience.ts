import type { Agent } from 'undici'
import type { Containers, Target } from '../containers.ts'
import { sleep } from '../sleep.ts'
import { probe } from './probe.ts'

/** How long a container is waited for that has let a job wait too long. */
export type Patience = {
  /** A job got no answer in time. */
  late(target: Target): void
  /** A job got one. */
  answered(id: string): void
}

export type PatienceOptions = {
  containers: Containers
  agent: Agent
  /** It says nothing to anybody. */
  onHung: (target: Target, detail: string) => void
  signal: AbortSignal
  everyMs?: number
}

const leastProbes = 3

/**
 * Tells a container that hangs from one that is slow. One that works on something long may be silent for a while: it hangs when it has been
 * silent from then on for its whole `timeout` again, to each probe and to every job.
 */
export function createPatience({
  containers,
  agent,
  onHung,
  signal,
  everyMs = 5_000,
}: PatienceOptions): Patience {
  const suspects = new Map<string, Target>()

  async function untilSure(target: Target): Promise<void> {
    const { id, timeoutMs } = target.config
    const from = performance.now()
    // Judged anew by somebody else it is another one.
    const isSuspect = () => suspects.get(id) === target && containers.get(id)?.judged === target.judged
    for (let probes = 1; !signal.aborted; probes++) {
      const found = await probe(target.baseUrl, { container: target.config, agent })
      if (found.state !== 'silent' || !isSuspect()) return
      if (probes >= leastProbes && performance.now() - from >= timeoutMs)
        return onHung(target, `it does not answer any more: ${found.detail}`)
      await sleep(everyMs, signal)
    }
  }

  return {
    late(target) {
      const { id } = target.config
      if (suspects.has(id)) return
      suspects.set(id, target)
      void untilSure(target).finally(() => {
        if (suspects.get(id) === target) suspects.delete(id)
      })
    },
    answered: id => void suspects.delete(id),
  }
}

import type { Agent } from 'undici'
import { createBackoff } from './backoff.ts'
import type { Containers, Target } from './containers.ts'
import { type Probed, probe, wordsOf } from './health/probe.ts'
import type { Log } from './log.ts'
import { sleep } from './sleep.ts'

export type Reach = {
  /** Asks a container that runs elsewhere until it answers HTTP; only then is it ready. */
  seek(target: Target): void
  /** A job could not connect: nothing is claimed for the container until it answers again. */
  lost(target: Target, detail: string): void
}

export type ReachOptions = { containers: Containers; agent: Agent; log: Log; signal: AbortSignal }

const probing = { baseMs: 500, capMs: 15_000 }

/**
 * Whether containers can be reached. A refused connection takes a millisecond, so that one dead container which went on being
 * offered would fail a whole queue.
 */
export function createReach({ containers, agent, log, signal }: ReachOptions): Reach {
  /** Those that may have had jobs. */
  const served = new Set<string>()

  /** For as long as nobody else has judged the container: what Docker says of its own counts for more. */
  async function untilAnswers(target: Target, firstMs: number): Promise<void> {
    const { id } = target.config
    const backoff = createBackoff(probing)
    const undecided = () => !signal.aborted && containers.get(id)?.judged === target.judged
    let asked = 0
    await sleep(firstMs, signal)
    while (undecided()) {
      const found = await probe(target.baseUrl, { container: target.config, agent })
      if (!undecided()) return
      if (found.state === 'ready') {
        served.add(id)
        containers.change(id, { health: 'ready' })
        log.info(target.health === 'unhealthy' ? 'Container(s) back up' : 'Container is ready', {
          container: id,
        })
        return
      }
      if (++asked === 1 && target.health === 'starting')
        log.warn('A container does not answer HTTP yet, asking again', {
          container: id,
          detail: found.detail,
        })
      const news = newsOf(found, target)
      if (news !== null) return judgeFailed(target, news)
      await sleep(backoff.next(), signal)
    }
  }

  /** What it has failed by, where it says so and was not told yet. */
  function newsOf(found: Probed, { config: { id }, detail: told }: Target): string | null {
    if (found.state !== 'failed') return null
    const detail = served.has(id) ? found.detail : wordsOf(found)
    return detail === told ? null : detail
  }

  /** It says so itself, and why; asked again all the same, since its operator may help it. */
  function judgeFailed(target: Target, detail: string): void {
    const { id } = target.config
    containers.change(id, { health: 'unhealthy', cause: { code: 'not_ready', detail } })
    log.warn('A container says that it has failed', { container: id, detail })
    const suspect = containers.get(id)
    if (suspect) void untilAnswers(suspect, createBackoff(probing).next())
  }

  return {
    seek(target) {
      void untilAnswers(target, 0)
    },
    lost(target, detail) {
      const { id } = target.config
      // Judged anew since the job was begun: by another job, or because it has another port now.
      if (containers.get(id)?.judged !== target.judged) return
      containers.change(id, { health: 'unhealthy', detail })
      log.warn('A container cannot be reached, claiming no jobs for it until it answers', {
        container: id,
        detail,
      })
      const suspect = containers.get(id)
      if (suspect) void untilAnswers(suspect, createBackoff(probing).next())
    },
  }
}

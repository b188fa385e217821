import type { Agent } from 'undici'
import { healthOf } from '../cog/health.ts'
import type { Container } from '../config/config.ts'
import { connectionFailure } from '../job/connection.ts'
import { discard } from '../job/reply.ts'

/**
 * How a container is, asked once. `silent`: nobody speaks HTTP there; `loading`: it is not ready yet; `failed`: it has said that it will
 * not be ready by itself. `why`, in its own words or empty, is for nobody once it may have had a job: it may be about that.
 */
export type Probed = { state: 'ready' } | { state: 'silent' | 'loading'; detail: string } | SaidFailed
export type SaidFailed = { state: 'failed'; detail: string; why: string }

/** Of one that has failed before it had any job. */
export function wordsOf({ detail, why }: SaidFailed): string {
  return why === '' ? detail : `${detail}: ${why}`
}

export type ProbeOptions = { container: Container; agent: Agent }

/** A host elsewhere has to be found and shaken hands with first. */
const timeoutMs = { here: 2_000, elsewhere: 5_000 } as const

/**
 * Asks a container for its health, once. Any status but 503 is ready, which says that it is still loading: not every
 * container has the path. Of one that Cog has built its own words count.
 */
export async function probe(baseUrl: string, { container, agent }: ProbeOptions): Promise<Probed> {
  const url = new URL(`${baseUrl}${container.healthPath}`)
  const { bearer } = container
  try {
    const response = await agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: 'GET',
      headers: bearer === '' ? {} : { authorization: `Bearer ${bearer}` },
      signal: AbortSignal.timeout(container.url === '' ? timeoutMs.here : timeoutMs.elsewhere),
    })
    if (container.api === 'cog') return await healthOf(response)
    discard(response.body)
    return response.statusCode === 503 ? { state: 'loading', detail: 'status 503' } : { state: 'ready' }
  } catch (error) {
    // Nobody there yet, or not speaking HTTP yet.
    const late = error instanceof Error && error.name === 'TimeoutError'
    return { state: 'silent', detail: late ? 'no answer in time' : connectionFailure(url, error).detail }
  }
}

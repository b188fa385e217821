import type { Agent } from 'undici'
import { sleep } from '../sleep.ts'

const probeMs = 100
const probeTimeoutMs = 2_000

/**
 * Whether a container answers HTTP within the time, with whatever status but 503, which says that it is still loading. Asks
 * `/health`, which not every container has.
 */
export async function answersHttp(
  baseUrl: string,
  { agent, withinMs, signal }: { agent: Agent; withinMs: number; signal: AbortSignal },
): Promise<boolean> {
  const until = performance.now() + withinMs
  while (!signal.aborted && performance.now() < until) {
    if (await answersOnce(baseUrl, agent)) return true
    await sleep(probeMs, signal)
  }
  return false
}

/** Asked once, and given two seconds. */
export async function answersOnce(baseUrl: string, agent: Agent): Promise<boolean> {
  try {
    const url = new URL(`${baseUrl}/health`)
    const { body, statusCode } = await agent.request({
      origin: url.origin,
      path: url.pathname,
      method: 'GET',
      signal: AbortSignal.timeout(probeTimeoutMs),
    })
    await body.dump()
    return statusCode !== 503
  } catch {
    // Nobody there yet, or not speaking HTTP yet: that is the answer.
    return false
  }
}

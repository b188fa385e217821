import type { Agent } from 'undici'

const timeoutMs = 5_000

/** Tells a container that nobody wants a prediction any more. It may have ended, or not know how: that is not our trouble. */
export async function cancelPrediction(
  agent: Agent,
  { url, bearer }: { url: URL; bearer: string },
): Promise<void> {
  try {
    const { body } = await agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: 'POST',
      headers: bearer === '' ? {} : { authorization: `Bearer ${bearer}` },
      signal: AbortSignal.timeout(timeoutMs),
    })
    await body.dump()
  } catch {
    // The connection of the prediction itself was closed, which newer versions take for the same.
  }
}

import type { Endpoint } from './endpoint.ts'

export type TurnOptions = {
  endpoints: readonly Endpoint[]
  now(): number
  sleep(ms: number): Promise<void>
  /** By how many blocks. */
  lag(endpoint: Endpoint): number
  /** Of one endpoint, at most. */
  tries?: number | undefined
}

/** Whose turn it is in one send. Endpoints on another chain have none, unless all are: then each is asked again on which it is. */
export type Turn = {
  /** The best of those that do not rest; if all do, one of them, as long as no more than `patienceMs` is waited for in all. */
  next(patienceMs: number): Promise<Endpoint | null>
  leaveOut(endpoint: Endpoint): void
}

const usualTries = 3
/** From then on a send begins nothing any more. */
const sendMs = 20_000

export function createTurn({ endpoints, now, sleep, lag, tries: maxTries = usualTries }: TurnOptions): Turn {
  const tries = new Map<Endpoint, number>()
  const begun = now()
  let waitedMs = 0
  const triesOf = (endpoint: Endpoint) => tries.get(endpoint) ?? 0
  const isLeft = (endpoint: Endpoint) =>
    triesOf(endpoint) < maxTries && (!endpoint.isBarred() || endpoints.every(one => one.isBarred()))

  /** Sorting keeps the order in which they are configured, where nothing else tells. */
  function best(): Endpoint | undefined {
    return endpoints
      .filter(endpoint => isLeft(endpoint) && endpoint.restsUntil() <= now())
      .sort((a, b) => lag(a) - lag(b) || a.penalty() - b.penalty())[0]
  }

  return {
    async next(patienceMs) {
      for (let endpoint = best(); now() - begun <= sendMs; endpoint = best()) {
        if (endpoint !== undefined) {
          tries.set(endpoint, triesOf(endpoint) + 1)
          return endpoint
        }
        const waitMs = Math.max(0, Math.min(...endpoints.filter(isLeft).map(one => one.restsUntil() - now())))
        waitedMs += waitMs
        if (waitedMs > patienceMs) return null
        await sleep(waitMs)
      }
      return null
    },
    leaveOut(endpoint) {
      tries.set(endpoint, maxTries)
    },
  }
}

import { atOnce } from './at-once.ts'
import { toBatches } from './batches.ts'
import { type AskOptions, createEndpoint, type Endpoint } from './endpoint.ts'
import { EndpointFailure, type Outcome } from './endpoint-failure.ts'
import { type Rpc, type RpcAnswer, type RpcCall, RpcUnavailable } from './rpc.ts'
import { untilTaken } from './taken.ts'
import { createTurn, type Turn } from './turn.ts'

export type RpcPoolOptions = {
  /** One at least; the first is preferred while it is as good as others. */
  urls: readonly string[]
  chainId: number
  /** Unix milliseconds. */
  now(): number
  /** From 0 to 1; spreads what begins again. */
  random?(): number
  fetch?: typeof fetch
  /** Of one HTTP exchange. */
  timeoutMs?: number
  sleep?(ms: number): Promise<void>
}

/**
 * `head`: that of whoever gives these answers; of one that does not say, the newest that is known. `isUnclear`: some of the answers are not
 * believed.
 */
type Told = { answers: RpcAnswer[]; head: number; isBehind: boolean; isUnclear: boolean }

const batchesAtOnce = 4
/** What one endpoint is told at once, at most: one that is silent is not to gather more. */
const tellingAtOnce = 4
/** What one send waits for endpoints that rest. */
const patienceMs = 2_000

/** A chain through its endpoints. Nothing runs between sends. */
export function createRpcPool({
  urls,
  chainId,
  now,
  random = Math.random,
  // Workers want it called as a function of the global object.
  fetch: fetchFrom = (...args) => fetch(...args),
  timeoutMs = 5_000,
  sleep = ms => new Promise(resolve => setTimeout(resolve, ms)),
}: RpcPoolOptions): Rpc {
  const options = { chainId, now, random, fetch: fetchFrom, timeoutMs }
  const endpoints = urls.map(url => createEndpoint(url, options))
  const telling = new Map<Endpoint, number>()
  let highest = 0

  const noteTold = (head: number) => {
    highest = Math.max(highest, head)
  }

  /** Null: it failed, and `failures` say how. */
  async function ask(
    endpoint: Endpoint,
    calls: readonly RpcCall[],
    failures: EndpointFailure[] = [],
    options: AskOptions = {},
  ): Promise<Told | null> {
    const known = highest
    const toldBy = ({ answers, head }: Outcome, isUnclear: boolean): Told => {
      if (head !== null) noteTold(head)
      return { answers, head: head ?? known, isBehind: head !== null && head < known, isUnclear }
    }
    try {
      return toldBy(await endpoint.ask(calls, known, options), false)
    } catch (error) {
      if (!(error instanceof EndpointFailure)) throw error
      failures.push(error)
      return error.outcome && toldBy(error.outcome, true)
    }
  }

  const askAnchored: typeof ask = async (endpoint, calls, failures, options) => {
    const told = await ask(endpoint, calls, failures, options)
    const [anchor, ...answers] = told?.answers ?? []
    return told === null || anchor?.error !== undefined ? null : { ...told, answers }
  }

  async function askAny(
    calls: readonly RpcCall[],
    {
      askOne,
      tries,
    }: {
      askOne: typeof ask
      tries: number | undefined
    },
  ): Promise<RpcAnswer[]> {
    const turn = createTurn({ endpoints, now, sleep, lag: endpoint => endpoint.lag(highest), tries })
    const failures: EndpointFailure[] = []
    // Who asks once asks what may be too much for any endpoint, and sees for itself whether it is well.
    const options = { mayBeTooMuch: tries === 1 }
    const told = await firstTold(turn, endpoint => askOne(endpoint, calls, failures, options))
    if (told !== null) return told.answers
    const isOverwhelmed = failures.length > 0 && failures.every(failure => failure.isOverwhelmed)
    throw new RpcUnavailable(`No endpoint of chain ${chainId} answers: ${reasons()}`, { isOverwhelmed })
  }

  function reasons(): string {
    return endpoints
      .map(endpoint => endpoint.status(highest))
      .map(({ name, problem }) => `${name} ${problem ?? 'was left out'}`)
      .join('; ')
  }

  const tellingOf = (endpoint: Endpoint) => telling.get(endpoint) ?? 0

  /** Null: it failed. */
  async function tellOne(endpoint: Endpoint, batches: readonly RpcCall[][]): Promise<RpcAnswer[] | null> {
    const answers: RpcAnswer[] = []
    telling.set(endpoint, tellingOf(endpoint) + 1)
    try {
      for (const calls of batches) {
        const outcome = await ask(endpoint, calls)
        if (outcome === null) return null
        answers.push(...outcome.answers)
      }
      return answers
    } finally {
      telling.set(endpoint, tellingOf(endpoint) - 1)
    }
  }

  return {
    // What the caller believes is right: an endpoint that once told too high a head does not make all others lag for ever.
    noteHead(head) {
      highest = head
    },
    status: () => endpoints.map(endpoint => endpoint.status(highest)),
    async send(calls, anchor, { tries } = {}) {
      const batches = toBatches(calls, { first: anchor && [anchor] })
      const asking = { askOne: anchor ? askAnchored : ask, tries }
      const answers = await atOnce(batches, { limit: batchesAtOnce, work: batch => askAny(batch, asking) })
      return answers.flat()
    },
    async sendToAll(calls) {
      if (calls.length === 0) return []
      const batches = toBatches(calls)
      const told = endpoints.filter(
        endpoint => !endpoint.isBarred() && !endpoint.hasAsked() && tellingOf(endpoint) < tellingAtOnce,
      )
      return await untilTaken(told.map(endpoint => tellOne(endpoint, batches)))
    },
  }
}

/**
 * What the first endpoint says that says anything, is believed and is not behind; else the best of what is said, with what others say where it is not
 * believed. Null: nobody says anything.
 */
async function firstTold(
  turn: Turn,
  ask: (endpoint: Endpoint) => Promise<Told | null>,
): Promise<Told | null> {
  let best: Told | null = null
  for (;;) {
    const endpoint = await turn.next(best === null || best.isUnclear ? patienceMs : 0)
    if (endpoint === null) return best
    const told = await ask(endpoint)
    if (told === null) continue
    if (!told.isBehind && !told.isUnclear) return told
    turn.leaveOut(endpoint)
    best = best === null ? told : together(best, told)
    if (!best.isBehind && !best.isUnclear) return best
  }
}

/** The better one; what is not believed of it is as the other tells, which has been asked the same, and is not behind. */
function together(one: Told, other: Told): Told {
  const [better, worse] = isBetter(other, one) ? [other, one] : [one, other]
  if (worse.isBehind) return better
  const answers = better.answers.map((answer, index) =>
    answer.error?.isUnclear ? (worse.answers[index] ?? answer) : answer,
  )
  return { ...better, answers, isUnclear: answers.some(({ error }) => error?.isUnclear) }
}

/** What is believed, before what is further. */
function isBetter(one: Told, other: Told): boolean {
  return one.isUnclear === other.isUnclear ? one.head > other.head : other.isUnclear
}

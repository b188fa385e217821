import { atOnce } from './at-once.ts'
import { EndpointFailure, type Outcome } from './endpoint-failure.ts'
import { asksHead, headCall, headTold, quantity } from './head-told.ts'
import { fromBody, type Heard, toBody } from './json-rpc.ts'
import { type PostOptions, post, type Target, toTarget } from './post.ts'
import type { EndpointStatus, RpcAnswer, RpcCall } from './rpc.ts'

/** A chain's node behind a URL, and what is known of it. */
export type Endpoint = {
  name: string
  /** On another chain, as far as is known. */
  isBarred(): boolean
  /** Unix milliseconds from which it may be asked again. */
  restsUntil(): number
  /** Whether it asked itself to be left alone until then. */
  hasAsked(): boolean
  /** 0 is good; failures weigh less with time. */
  penalty(): number
  /** Blocks that it was behind `highest` when it last told, if that is not long ago. */
  lag(highest: number): number
  status(highest: number): EndpointStatus
  /**
   * Asks it, and what it needs to be asked about itself along with that. `mayBeTooMuch`: that it is silent may be for the calls themselves, and is
   * not held against it.
   * @throws EndpointFailure
   */
  ask(calls: readonly RpcCall[], highest: number, options?: AskOptions): Promise<Outcome>
}

export type AskOptions = { mayBeTooMuch?: boolean }

export type EndpointOptions = PostOptions & { chainId: number; random(): number }

/** How long it is believed to be on the right chain, or the wrong one, and to take no batches. */
const knownMs = 10 * 60_000
/** How long what it told of its head counts against it. Then it is asked for its head with whatever else it is asked. */
const lagMs = 10_000
const restMs = 500
const maxRestMs = 30_000
/** After so long a failure weighs half as much. */
const halfLifeMs = 30_000
const singlesAtOnce = 6

export function createEndpoint(url: string, options: EndpointOptions): Endpoint {
  const { chainId, random, now } = options
  const target: Target = toTarget(url)
  const name = new URL(url).host
  let weight = 0
  let weighedAt = 0
  let inARow = 0
  let restUntil = 0
  let hasAsked = false
  let problem: string | null = null
  let head: number | null = null
  let toldAt = 0
  let chain: { id: number; at: number } | null = null
  let noBatchesUntil = 0
  let nextId = 1

  const penalty = () => {
    const decayed = weight * 0.5 ** ((now() - weighedAt) / halfLifeMs)
    return decayed < 0.1 ? 0 : decayed
  }
  const isBarred = () => chain !== null && chain.id !== chainId && now() - chain.at < knownMs
  const lag = (highest: number) =>
    head === null || now() - toldAt >= lagMs ? 0 : Math.max(0, highest - head)

  /** Requests that were under way together fail together: that is one failure. */
  function fail({ message, retryAfterMs }: EndpointFailure, rowAtStart: number): void {
    problem = message
    if (inARow > rowAtStart) return
    weight = penalty() + 1
    weighedAt = now()
    inARow += 1
    const most = Math.min(maxRestMs, restMs * 2 ** (inARow - 1))
    const rest = most * (0.5 + random() / 2)
    hasAsked = retryAfterMs > 0
    restUntil = now() + Math.max(rest, retryAfterMs)
  }

  async function exchange(calls: readonly RpcCall[]): Promise<Heard> {
    const from = nextId
    nextId += calls.length
    const body = await post(target, toBody(calls, from), options)
    return fromBody(body, { from, calls })
  }

  async function oneByOne(calls: readonly RpcCall[]): Promise<Heard> {
    const heard = await atOnce(calls, { limit: singlesAtOnce, work: call => exchange([call]) })
    return {
      answers: heard.flatMap(({ answers }) => answers),
      trouble: heard.find(({ trouble }) => trouble !== null)?.trouble ?? null,
    }
  }

  async function exchangeAll(calls: readonly RpcCall[]): Promise<Heard> {
    if (calls.length === 1) return await exchange(calls)
    if (now() < noBatchesUntil) return await oneByOne(calls)
    try {
      return await exchange(calls)
    } catch (error) {
      if (!(error instanceof EndpointFailure && error.refusesBatch)) throw error
      const answers = await oneByOne(calls)
      noBatchesUntil = now() + knownMs
      return answers
    }
  }

  /** @throws EndpointFailure when it is on another chain, or does not say on which. */
  function noteChain(answer: RpcAnswer): void {
    const id = quantity(answer.result)
    if (id === null) throw new EndpointFailure('does not say on which chain it is')
    chain = { id, at: now() }
    if (id !== chainId) throw new EndpointFailure(`is on chain ${id}, not on ${chainId}`)
  }

  async function askAll(calls: readonly RpcCall[], highest: number): Promise<Outcome> {
    const asksChain = chain?.id !== chainId || now() - chain.at >= knownMs
    const isBehind = (head ?? 0) < highest && !calls.some(asksHead)
    const all = [...calls, ...(isBehind ? [headCall] : []), ...(asksChain ? [chainIdCall] : [])]
    const { answers, trouble } = await exchangeAll(all)
    const last = answers.at(-1)
    if (asksChain && last) noteChain(last)
    const told = headTold(all, answers)
    if (told !== null) {
      head = told
      toldAt = now()
    }
    const outcome = { answers: answers.slice(0, calls.length), head: told }
    if (trouble !== null) throw new EndpointFailure(trouble, { outcome })
    return outcome
  }

  return {
    name,
    isBarred,
    penalty,
    lag,
    restsUntil: () => restUntil,
    hasAsked: () => hasAsked && now() < restUntil,
    status: highest => ({
      name,
      penalty: penalty() + lag(highest),
      head,
      problem: problem ?? (lag(highest) > 0 ? `is ${lag(highest)} blocks behind` : null),
    }),
    async ask(calls, highest, { mayBeTooMuch = false } = {}) {
      const rowAtStart = inARow
      try {
        const outcome = await askAll(calls, highest)
        inARow = 0
        problem = null
        return outcome
      } catch (error) {
        if (error instanceof EndpointFailure && !(mayBeTooMuch && error.isOverwhelmed))
          fail(error, rowAtStart)
        throw error
      }
    },
  }
}

const chainIdCall: RpcCall = { method: 'eth_chainId', params: [] }

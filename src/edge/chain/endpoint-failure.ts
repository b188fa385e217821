import type { RpcAnswer, RpcError } from './rpc.ts'

/** `head`: the newest block that these answers tell of; null: they tell of none. */
export type Outcome = { answers: RpcAnswer[]; head: number | null }

/** An endpoint gave no answer. The message says why, without its URL, and without what it said itself, which may hold a key. */
export class EndpointFailure extends Error {
  override name = 'EndpointFailure'
  /** What it asked to be left alone for; 0: it did not. */
  readonly retryAfterMs: number
  /** Whether the same calls may be answered one by one. */
  readonly refusesBatch: boolean
  /** What it answered all the same: what is not believed of it is unclear. Null: nothing. */
  readonly outcome: Outcome | null
  /** Whether what it was asked may have been too much for it. */
  readonly isOverwhelmed: boolean

  constructor(
    message: string,
    { retryAfterMs = 0, refusesBatch = false, outcome = null, isOverwhelmed = false }: FailureOptions = {},
  ) {
    super(message)
    this.outcome = outcome
    this.isOverwhelmed = isOverwhelmed
    this.retryAfterMs = retryAfterMs
    this.refusesBatch = refusesBatch
  }
}

type FailureOptions = {
  retryAfterMs?: number
  refusesBatch?: boolean
  outcome?: Outcome | null
  isOverwhelmed?: boolean
}

/** A node that has trouble, has not got there yet, or has forgotten. */
const troubles: readonly (readonly [RegExp, string])[] = [
  [/rate.?limit|too many requests|request limit|limit exceeded|quota|capacity|throttl/i, 'limits our rate'],
  [
    /header not found|unknown block|block .{0,24}not (found|available)|out ?of ?range|cannot find block/i,
    'has not got the block',
  ],
  [
    /missing trie node|state.{0,40}(not |un)available|pruned|historical state|no state/i,
    'has no state of the block',
  ],
  [
    /time.?out|timed out|temporar|try again|overload|unavailable|not ready|syncing|upstream|no backend/i,
    'has trouble',
  ],
]
const codes: Readonly<Record<number, string>> = {
  [-32001]: 'has not got the block',
  [-32002]: 'has trouble',
  [-32005]: 'limits our rate',
  [-32016]: 'limits our rate',
  [-32029]: 'limits our rate',
  [-32097]: 'limits our rate',
  429: 'limits our rate',
  [-32603]: 'has an internal error',
  [-32700]: 'did not understand us',
}

/** What is wrong with an endpoint that answers with an error which is not the chain's, as far as it is known; else null. */
export function troubleOf({ code, message }: RpcError): string | null {
  const told = troubles.find(([pattern]) => pattern.test(message))?.[1] ?? codes[code]
  return told === undefined ? null : `${told} (${code})`
}

/** Whether a trouble may be that of one call that takes too long. */
export function isOfLoad(trouble: string): boolean {
  return /^has (trouble|an internal error)/.test(trouble)
}

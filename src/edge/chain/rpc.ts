/**
 * A JSON-RPC request to a chain's node. `doubt`: why a result cannot be the chain's, but is that of an endpoint which has not got the block;
 * null: it can. Absent: all are believed.
 */
export type RpcCall = {
  method: string
  params: readonly unknown[]
  doubt?(result: unknown): string | null
}

/**
 * `data`: what a call reverted with, in hex, where the node says so. `isUnclear`: no endpoint gave anything that is believed, so what the chain
 * says is not known. `unanswered`: nor was it told, though endpoints answer: to this alone they are silent, or they had no time for it.
 */
export type RpcError = {
  code: number
  message: string
  data?: string
  isUnclear?: true
  unanswered?: 'silent' | 'unasked'
}

/** What came of one request: an error here is the chain's answer (a revert, a transaction that is refused), not an endpoint's failure. */
export type RpcAnswer = { result: unknown; error?: undefined } | { result?: undefined; error: RpcError }

/** Whether there was no time to ask for it. */
export function isUnasked(answer: RpcAnswer | undefined): boolean {
  return answer?.error?.unanswered === 'unasked'
}

/** What is known of an endpoint, for operators. `name`: its host alone, since URLs carry keys. */
export type EndpointStatus = {
  name: string
  /** 0 is good; rises with failures and lag, and falls by itself. */
  penalty: number
  head: number | null
  problem: string | null
}

/**
 * A chain, through whichever of its endpoints answers best. One HTTP request for each `send`, as long as the first endpoint answers and
 * the calls fit into one batch.
 */
export type Rpc = {
  /**
   * Answers in the order of the calls. `anchor`: asked along in each batch, and not among the answers: an endpoint of whose result there is a
   * doubt, or that has none, has not answered. `tries`: of one endpoint; 3 unless it is said.
   * @throws RpcUnavailable when no endpoint answers.
   */
  send(calls: readonly RpcCall[], anchor?: RpcCall, options?: { tries?: number }): Promise<RpcAnswer[]>
  /**
   * The same to every endpoint that is not known to be on another chain: for what the network must get to know. An endpoint that fails is
   * left out; and so is one that is silent when another has taken everything.
   * @returns for each endpoint that answered, its answers.
   */
  sendToAll(calls: readonly RpcCall[]): Promise<RpcAnswer[][]>
  /** The head that is believed: an endpoint that answered with an older one is passed over from now on, until it has caught up. */
  noteHead(head: number): void
  status(): EndpointStatus[]
}

/** No endpoint gave an answer; `message` says why, without URLs. */
export class RpcUnavailable extends Error {
  override name = 'RpcUnavailable'
  /** Whether what was asked may have been too much for each that was asked. */
  readonly isOverwhelmed: boolean

  constructor(message: string, { isOverwhelmed = false }: { isOverwhelmed?: boolean } = {}) {
    super(message)
    this.isOverwhelmed = isOverwhelmed
  }
}

import type { ErrorCode } from '../protocol/error.ts'

/**
 * What can go wrong on this side of the wire. `unreachable`: no answer, or one that broke off; `timeout`: not in time;
 * `redirected`: the node lives at another URL; `bad_answer`: an answer that the protocol does not know; `not_signed`: a wallet gave no
 * signature that can be sent; `reverted`: a contract refuses, or did when it was mined; `not_sent`: the chain does not take the
 * transaction; `not_mined`: it was sent, and what became of it is not known; `unknown`: a refusal without a code, as the reference node
 * and proxies give.
 */
export type ClientErrorCode =
  | 'unreachable'
  | 'timeout'
  | 'redirected'
  | 'bad_answer'
  | 'not_signed'
  | 'reverted'
  | 'not_sent'
  | 'not_mined'
  | 'unknown'

export type InfernetErrorOptions = {
  status: number | null
  code: InfernetError['code']
  params?: Record<string, unknown>
  retryAfterMs?: number | null
  cause?: unknown
}

/** Every failure of a call, other than that its caller aborted it. `message` is the node's own, where it gave one. */
export class InfernetError extends Error {
  override readonly name = 'InfernetError'
  /** HTTP status of the answer; null: there was none, or the request was not sent. */
  readonly status: number | null
  /** Branch on this. Nodes newer than this client may answer codes that it does not list. */
  readonly code: ErrorCode | ClientErrorCode | (string & {})
  /** What the message refers to. */
  readonly params: Record<string, unknown>
  /** How long the node asks to be left alone; null when it does not say. */
  readonly retryAfterMs: number | null

  constructor(
    message: string,
    { status, code, params = {}, retryAfterMs = null, cause }: InfernetErrorOptions,
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.status = status
    this.code = code
    this.params = params
    this.retryAfterMs = retryAfterMs
  }
}

/** A request that is wrong, and was not sent. */
export function invalid(message: string, params: Record<string, unknown> = {}): InfernetError {
  return new InfernetError(message, { status: null, code: 'invalid_request', params })
}

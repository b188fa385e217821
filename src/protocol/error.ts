import * as v from 'valibot'

/**
 * Every refusal that the edge can answer, and its HTTP status. The one table: routes name a code, `routes/refuse.ts` turns it
 * into a response, clients branch on `code`.
 */
export const errorStatus = {
  malformed_json: 400,
  invalid_request: 400,
  not_a_list: 400,
  no_containers: 400,
  chain_too_long: 400,
  invalid_status: 400,
  signature_expired: 400,
  invalid_signature: 400,
  unauthorized: 401,
  not_external: 403,
  not_allowed: 403,
  signer_mismatch: 403,
  data_not_signed: 403,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  streaming_offchain_only: 405,
  conflict: 409,
  idempotency_conflict: 409,
  already_ended: 409,
  nonce_used: 409,
  data_conflict: 409,
  output_gone: 410,
  body_too_large: 413,
  batch_too_large: 413,
  read_too_large: 413,
  unsupported_container: 422,
  unsupported_proof: 422,
  unmet_requires: 422,
  unsupported_containers: 422,
  invalid_payment: 422,
  verifier_not_accepted: 422,
  stake_too_high: 422,
  completed: 422,
  refused_by_chain: 422,
  queue_full_for_owner: 429,
  consumer_limit: 429,
  too_many_readers: 429,
  internal: 500,
  chain_not_enabled: 501,
  queue_full: 503,
  no_runner: 503,
  closing: 503,
  schema_outdated: 503,
  database_unavailable: 503,
  chain_unavailable: 503,
} as const satisfies Record<string, number>

export type ErrorCode = keyof typeof errorStatus

/** Codes after which the same request may succeed later; the answer carries `Retry-After`, in seconds. */
export const retryAfterSeconds: Partial<Record<ErrorCode, number>> = {
  queue_full_for_owner: 5,
  consumer_limit: 600,
  too_many_readers: 5,
  queue_full: 5,
  no_runner: 30,
  closing: 5,
  schema_outdated: 30,
  database_unavailable: 2,
  chain_unavailable: 5,
}

/** Body of every refusal. `error` and `params` are the reference's (its node page, 4.6); `code` is ours. */
export const ErrorBody = v.object({
  error: v.pipe(v.string(), v.description('What is wrong, for people.')),
  code: v.pipe(
    v.picklist(Object.keys(errorStatus) as [ErrorCode]),
    v.description('What is wrong, for programs.'),
  ),
  params: v.pipe(v.record(v.string(), v.unknown()), v.description('What the message refers to.')),
})
export type ErrorBody = v.InferOutput<typeof ErrorBody>

/** A refusal as a value: expected, and answered rather than thrown. */
export type Refusal = { code: ErrorCode; error: string; params?: Record<string, unknown> }

export function refusalBody({ code, error, params = {} }: Refusal): ErrorBody {
  return { code, error, params }
}

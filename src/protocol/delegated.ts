import * as v from 'valibot'
import { Address, Bool, Bytes32, ChainId, SignatureBytes, Uint256, uint, wordOf } from './evm.ts'
import { JobId } from './job.ts'

const object = 'must be an object'

/** A subscription as it is signed (reference node 1.7), in the bounds of the contract. Other keys are ignored. */
export const DelegatedSubscription = v.object(
  {
    owner: Address,
    active_at: uint(32),
    period: uint(32),
    frequency: uint(32),
    redundancy: uint(16),
    containers: Bytes32,
    lazy: Bool,
    verifier: Address,
    payment_amount: Uint256,
    payment_token: Address,
    wallet: Address,
  },
  object,
)
export type DelegatedSubscription = v.InferOutput<typeof DelegatedSubscription>

/** `r` and `s` as 32 bytes. `v` is any byte: a contract that judges signatures may know others than 27 and 28. */
export const DelegatedSignature = v.object(
  {
    nonce: uint(32),
    expiry: uint(32),
    v: uint(8),
    r: v.pipe(Uint256, v.transform(wordOf)),
    s: v.pipe(Uint256, v.transform(wordOf)),
  },
  object,
)
export type DelegatedSignature = v.InferOutput<typeof DelegatedSignature>

/**
 * `POST /api/jobs` of a subscription that its owner's signer has signed, without `data`. `chain_id` absent: the node's only chain.
 * `data_signature`: by the same signer, for the data (`data-signature.ts`).
 * `requires_proof` is there to be refused when it is no boolean: whether there is a proof, the verifier decides.
 */
export const DelegatedRequest = v.object(
  {
    subscription: DelegatedSubscription,
    signature: DelegatedSignature,
    chain_id: v.nullish(ChainId, null),
    data_signature: v.nullish(SignatureBytes, null),
    requires_proof: v.nullish(Bool),
  },
  object,
)
export type DelegatedRequest = v.InferOutput<typeof DelegatedRequest>

/**
 * Parses a body without looking at `data`. Read it with `plain(parseJson(text))`: `JSON.parse` takes digits away from `r` and `s`.
 * @returns the request, or for each field that is wrong its path and what is wrong with it, as in `signature.r: is missing`.
 */
export function parseDelegated(
  body: unknown,
): { request: DelegatedRequest; problems?: never } | { request?: never; problems: string[] } {
  const parsed = v.safeParse(DelegatedRequest, body)
  return parsed.success ? { request: parsed.output } : { problems: parsed.issues.map(problemOf) }
}

/** What is wrong with a field of any of these schemas. */
export function problemOf(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue)
  const problem = issue.input === undefined ? 'is missing' : issue.message
  return path === null ? problem : `${path}: ${problem}`
}

/**
 * Whether a body is a delegated subscription: told apart by its shape, as the reference does. Names of containers make it an ordinary job,
 * whatever else is there.
 */
export function isDelegated(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return false
  if (!('signature' in body && 'subscription' in body)) return false
  return !('containers' in body && isNames(body.containers))
}

function isNames(value: unknown): boolean {
  return Array.isArray(value) && value.every(name => typeof name === 'string')
}

const whole = (description: string) => v.pipe(v.number(), v.integer(), v.description(description))
const wide = (description: string) => v.pipe(v.union([v.number(), v.string()]), v.description(description))
const text = (description: string) => v.pipe(v.string(), v.description(description))

/** The whole body, for the OpenAPI document. */
export const DelegatedRequestBody = v.object({
  subscription: v.object({
    owner: text('The consumer, a `Delegator`.'),
    active_at: whole('Unix seconds of block time.'),
    period: whole('Seconds; 0: a callback.'),
    frequency: whole('How many intervals.'),
    redundancy: whole('Answers to an interval.'),
    containers: text('`keccak256(abi.encode(string))` of the names, joined by commas; with or without `0x`.'),
    lazy: v.boolean(),
    verifier: text('Zero: no proof.'),
    payment_amount: wide('Base units for each answer: an integer with all its digits, or the same as text.'),
    payment_token: text('Zero: the native one.'),
    wallet: text('Who pays; zero: nobody.'),
  }),
  signature: v.object({
    nonce: whole('Of the owner; each makes one subscription.'),
    expiry: whole('Unix seconds of block time from which on nothing can be made of it.'),
    v: whole('27 or 28.'),
    r: wide('An integer with all its digits, or the same as text: decimal, or hexadecimal with `0x`.'),
    s: wide('Likewise.'),
  }),
  data_signature: v.nullish(
    text('65 bytes, of the same signer for `data`: where the consumer or a container asks for it.'),
  ),
  chain_id: v.nullish(whole('EIP-155; may be left out where the node serves one chain.')),
  data: v.pipe(
    v.record(v.string(), v.unknown()),
    v.description('Input of the first container, for every interval; reaches it byte for byte.'),
  ),
})

/** What a node answers: the subscription that it has taken on, and where to ask for it. */
export const DelegatedCreated = v.object({
  id: v.pipe(v.string(), v.description('Of the delegated subscription, on this node.')),
  status_url: text('Where to ask for it.'),
  job_id: v.pipe(v.nullable(JobId), v.description('Of the interval that is open; null: none has begun.')),
  chain_id: whole('EIP-155.'),
  subscription_id: v.pipe(
    v.nullable(whole('On the chain.')),
    v.description('On the chain; null: the first answer makes it.'),
  ),
  interval: whole('The one that is open.'),
})
export type DelegatedCreated = v.InferOutput<typeof DelegatedCreated>

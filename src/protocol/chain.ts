import * as v from 'valibot'
import { Address, Amount, Seconds } from './chain-fields.ts'
import { ProofsAtStake, ProofView } from './proof.ts'

const Endpoint = v.object({
  name: v.pipe(v.string(), v.description('Its host.')),
  head: v.nullable(v.number()),
  penalty: v.pipe(v.number(), v.description('0 is good.')),
  problem: v.nullable(v.string()),
})

const SignerReport = v.object({
  address: Address,
  balance: v.pipe(v.nullable(v.string()), v.description('Wei, in decimal.')),
  blocked: v.pipe(v.nullable(v.string()), v.description('Why nothing is sent.')),
})

const PaymentWallet = v.object({
  valid: v.pipe(v.boolean(), v.description('The factory has made it: else nothing that pays is answered.')),
  own: v.pipe(v.boolean(), v.description('The signer is its owner: else it stakes what its owner approves.')),
  owner: v.nullable(Address),
  problem: v.nullable(v.string()),
})

/** What the ticker of a chain knows of it. */
export const ChainReport = v.object({
  id: v.pipe(v.number(), v.description('EIP-155.')),
  registry: Address,
  coordinator: v.nullable(Address),
  problem: v.pipe(v.nullable(v.string()), v.description('Why it is not served at the moment.')),
  head: v.pipe(v.nullable(v.number()), v.description('Newest block.')),
  block: v.pipe(v.nullable(v.number()), v.description('Newest block that is believed.')),
  subscriptions: v.pipe(v.nullable(v.number()), v.description('Highest subscription that was looked at.')),
  payment_address: Address,
  payment_wallet: v.pipe(
    v.nullable(PaymentWallet),
    v.description('null: none is configured, or it was not looked at yet.'),
  ),
  signer: SignerReport,
  pending: v.object({
    computed: v.pipe(v.number(), v.description('Answers without a transaction.')),
    sending: v.pipe(v.number(), v.description('Transactions on their way.')),
    left: v.pipe(v.number(), v.description('Of these, signed with a key that the node has no more.')),
    mined: v.pipe(v.number(), v.description('Mined, and not final.')),
  }),
  endpoints: v.array(Endpoint),
})
export type ChainReport = v.InferOutput<typeof ChainReport>

/** A chain as `GET /info` shows it. */
export const ChainInfo = v.object({ ...ChainReport.entries, proofs: ProofsAtStake })
export type ChainInfo = v.InferOutput<typeof ChainInfo>

const Reason = v.object({
  code: v.string(),
  message: v.nullable(v.string()),
  params: v.record(v.string(), v.unknown()),
})

/** A subscription as `GET /api/subscriptions` shows it: what it says on-chain, and what has become of it here. */
export const SubscriptionView = v.object({
  chain: v.number(),
  id: v.number(),
  state: v.picklist(['active', 'refused', 'ended']),
  reason: v.pipe(v.nullable(Reason), v.description('Why it waits, is refused or has ended.')),
  containers: v.pipe(
    v.nullable(v.array(v.string())),
    v.description('null: none of this node’s have this hash.'),
  ),
  container_id: v.string(),
  owner: Address,
  active_at: Seconds,
  period: v.pipe(v.number(), v.description('Seconds; 0: a callback.')),
  frequency: v.number(),
  redundancy: v.number(),
  lazy: v.boolean(),
  verifier: v.nullable(Address),
  payment: v.nullable(v.object({ amount: Amount, token: Address, wallet: Address })),
  next_interval: v.number(),
  due_at: v.nullable(Seconds),
  created_at: v.pipe(v.string(), v.description('When this node first saw it.')),
})
export type SubscriptionView = v.InferOutput<typeof SubscriptionView>

export const SubscriptionPage = v.object({
  subscriptions: v.array(SubscriptionView),
  next: v.pipe(v.nullable(v.number()), v.description('`before` of the next page.')),
})
export type SubscriptionPage = v.InferOutput<typeof SubscriptionPage>

export const TransactionView = v.object({
  hash: v.nullable(v.string()),
  nonce: v.number(),
  state: v.picklist(['signed', 'sent', 'mined', 'final', 'displaced']),
  kind: v.picklist(['deliver', 'approve', 'finalize', 'cancel']),
  problem: v.nullable(v.string()),
  block: v.nullable(v.number()),
  succeeded: v.nullable(v.boolean()),
  gas_used: v.nullable(v.number()),
  cost: v.pipe(v.nullable(v.string()), v.description('Wei, in decimal, of the whole transaction.')),
})

/** An answer on its way to the chain. */
export const DeliveryView = v.object({
  interval: v.number(),
  job: v.string(),
  state: v.picklist(['computing', 'computed', 'sending', 'delivered', 'final', 'dropped']),
  reason: v.nullable(Reason),
  tries: v.number(),
  deadline: v.nullable(Seconds),
  created_at: v.string(),
  transaction: v.nullable(TransactionView),
  proof: v.nullable(ProofView),
})
export type DeliveryView = v.InferOutput<typeof DeliveryView>

export const SubscriptionInFull = v.object({
  ...SubscriptionView.entries,
  deliveries: v.pipe(v.array(DeliveryView), v.description('The newest 100.')),
})
export type SubscriptionInFull = v.InferOutput<typeof SubscriptionInFull>

/** A subscription that this node was asked for over HTTP, as `GET /api/subscriptions/ID` shows it. */
export const DelegatedInFull = v.object({
  ...SubscriptionInFull.entries,
  id: v.pipe(v.string(), v.description('On this node.')),
  subscription_id: v.pipe(
    v.nullable(v.number()),
    v.description('On the chain; null: the first answer creates it.'),
  ),
  nonce: v.number(),
  expiry: v.pipe(Seconds, v.description('From when on nothing can be created by the signature.')),
  data_signed: v.pipe(v.boolean(), v.description('The signer has signed for the data as well.')),
})
export type DelegatedInFull = v.InferOutput<typeof DelegatedInFull>

const Count = v.number()
const Gas = v.pipe(v.number(), v.description('Units of gas.'))

/** What has come of one address's subscriptions, as `GET /api/consumers` shows it. */
export const ConsumerView = v.object({
  chain: v.number(),
  owner: Address,
  paid: v.pipe(Count, v.description('Answers delivered, and paid.')),
  unpaid: v.pipe(Count, v.description('Answers delivered that paid nothing.')),
  reverted: v.pipe(Count, v.description('Answers that were mined, and failed.')),
  rejected: v.pipe(
    Count,
    v.description(
      'Answers that were mined, and whose proofs were rejected, or got no verdict in time and no pay.',
    ),
  ),
  dropped: v.pipe(Count, v.description('Answers that were computed, and that the chain would not take.')),
  wasted_gas: v.pipe(Gas, v.description('Gas of what was mined and failed, or was rejected.')),
  wasted: v.pipe(v.string(), v.description('What that gas has cost: wei, in decimal.')),
  unpaid_gas: v.pipe(
    Gas,
    v.description('Gas of answers that their pay does not cover, those that failed included.'),
  ),
  last_gas: v.pipe(v.nullable(Gas), v.description('Gas of the answer that was last delivered.')),
  first_seen: v.string(),
  last_seen: v.string(),
})
export type ConsumerView = v.InferOutput<typeof ConsumerView>

export const ConsumerPage = v.object({
  consumers: v.array(ConsumerView),
  next: v.pipe(v.nullable(v.string()), v.description('`after` of the next page.')),
})
export type ConsumerPage = v.InferOutput<typeof ConsumerPage>

export const ConsumerInFull = v.object({
  ...ConsumerView.entries,
  day: v.object({
    reverted: Count,
    rejected: Count,
    wasted_gas: Gas,
    unpaid_gas: Gas,
    dropped: Count,
  }),
  barred: v.pipe(
    v.nullable(v.object({ limit: v.string(), used: v.number(), most: v.number(), until: v.string() })),
    v.description('The limit that it has reached, and until when it is not served.'),
  ),
})
export type ConsumerInFull = v.InferOutput<typeof ConsumerInFull>

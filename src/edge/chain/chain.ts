import type { Address, Hex } from 'viem'
import type { Guard } from './guard/guard.ts'
import type { Rpc } from './rpc.ts'

/** A block. `time`: unix seconds. `baseFee`: wei for a unit of gas; null on chains without EIP-1559. */
export type Block = { number: number; hash: Hex; time: number; baseFee: bigint | null }

/** What a deployment can do: the first ones can neither tell all at once, nor take several answers in one transaction, nor answers with bounds. */
export type Features = { status: boolean; batch: boolean; bounded: boolean }

/** A chain's contracts, as its registry names them. */
export type Contracts = {
  registry: Address
  coordinator: Address
  reader: Address
  inbox: Address
  walletFactory: Address
  /** Who gets the protocol's fee; null: it is not told, or nobody. */
  feeRecipient: Address | null
  /** Says what the protocol takes; null: there is none. */
  fee: Address | null
  features: Features
}

/** Who answers on a chain. It may take its time: keys may lie elsewhere. */
export type Signer = {
  address: Address
  signTransaction(transaction: SignableTransaction): Promise<Hex>
}

export type SignableTransaction = {
  type: 'eip1559'
  chainId: number
  nonce: number
  to: Address
  data: Hex
  value: bigint
  gas: bigint
  maxFeePerGas: bigint
  maxPriorityFeePerGas: bigint
}

/** How transactions are paid for. Wei for a unit of gas. */
export type GasPolicy = {
  /** Never offered more. */
  maxFeePerGas: bigint
  /** Offered at least, whatever the chain suggests. */
  minPriorityFeePerGas: bigint
  /** Of one transaction. An answer that needs more is refused. */
  maxGasLimit: number
  /** Blocks after which what was not mined is sent again for more. */
  bumpAfterBlocks: number
  /** By how much, in percent; 12.5 at least, or no node takes it. */
  bumpPercent: number
  /** Transactions of one signer on their way at once. */
  maxInFlight: number
}

/** A chain as it is configured. */
export type ChainConfig = {
  id: number
  registry: Address
  /** Which block is believed: the newest less `trailHeadBlocks`, or the newest that is `safe` or `finalized`. */
  confidence: 'latest' | 'safe' | 'finalized'
  trailHeadBlocks: number
  /** Texts: a simulation that fails with one of them in its message counts as passed. Lower case. */
  allowedSimErrors: readonly string[]
  gas: GasPolicy
  /** Is paid; zero: nothing that pays is answered. */
  paymentAddress: Address
  /** Of an answer's input, output and proof together; beyond it is refused. */
  maxOutputBytes: number
  /** How an output that has not the five keys is told: as JSON text, or as Python would print it. */
  stringOutput: 'json' | 'python'
  /** Subscriptions up to this one are left alone. */
  startingSubId: number
  /** Subscriptions read at once, at most. */
  batchSize: number
  /** How deep a reorganisation may reach, in blocks; beyond it what happened is final. */
  reorgDepth: number
  /** How long what was signed for waits to be created, at most; and how far ahead it may begin. */
  maxWaitSeconds: number
  guard: Guard
}

/** A chain that this node serves. */
export type Chain = { config: ChainConfig; rpc: Rpc; signer: Signer }

/** A subscription, as its coordinator has it. Addresses in lower case. Times: unix seconds of block time. */
export type Subscription = {
  id: number
  owner: Address
  /** 2^32-1: cancelled. */
  activeAt: number
  /** Seconds; 0: one interval that never ends. */
  period: number
  frequency: number
  redundancy: number
  containerId: Hex
  lazy: boolean
  verifier: Address
  paymentAmount: bigint
  paymentToken: Address
  wallet: Address
  /** 0: never. */
  expiresAt: number
  maxFee: number
  prepaid: boolean
  committed: boolean
}

/**
 * A subscription and what a node decides by, at one block.
 * `interval`: that is open; 0: none. `count` (answers accepted), `responded` (this node has answered) and `input` are of that one.
 * `wallet`: what may be spent of the paying wallet; null: it is not the factory's. Of what does not pay: null.
 * `input`: what the consumer gave; null: it gave none, failed, or gave too much, or this node has nothing to answer any more.
 */
export type Status = {
  subscription: Subscription
  interval: number
  count: number
  responded: boolean
  wallet: { funds: bigint; allowance: bigint; prepayment: bigint } | null
  input: Hex | null
}

import { type Abi, decodeErrorResult, type Hex, isHex, parseAbi } from 'viem'
import { eip712CoordinatorAbi } from '../../protocol/abi/eip712-coordinator.ts'
import { inboxAbi } from '../../protocol/abi/inbox.ts'
import { walletAbi } from '../../protocol/abi/wallet.ts'
import { walletFactoryAbi } from '../../protocol/abi/wallet-factory.ts'
import { cleaned } from './clean.ts'
import { refusalOf, saidOf } from './refusal.ts'
import type { RpcError } from './rpc.ts'

/**
 * Why the chain does not take an answer. `drop`: it never will. `retry`: it may, later. `isKnown`: by its name; else the consumer, or whatever
 * it calls, has reverted.
 */
export type Revert = { kind: 'drop' | 'retry'; code: string; message: string; isKnown: boolean }

/** Where an interval stands. `end`: unix seconds of block time from which it is over; null: never. `time`: of the newest block. */
export type Standing = { end: number | null; begin: number; time: number }

/** A block of this much difference may lie between what was simulated and what is mined. Seconds. */
const boundarySeconds = 12

/** By name: what comes of it, and the reference's sentence (reference node 4.7); ours for what only our contracts have. */
const known: Record<string, readonly ['drop' | 'retry', string]> = {
  InvalidWallet: [
    'retry',
    "Invalid wallet, please make sure you're using a wallet created from Infernet's `WalletFactory`.",
  ],
  IntervalMismatch: ['drop', 'Interval mismatch. The interval is not the current one.'],
  IntervalCompleted: ['drop', 'Interval completed. Redundancy has been already met for the current interval'],
  UnauthorizedVerifier: ['drop', 'Verifier is not authorized.'],
  NodeRespondedAlready: ['drop', 'Node already responded for this interval'],
  SubscriptionNotFound: ['drop', 'Subscription not found'],
  ProofRequestNotFound: ['drop', 'Proof request not found'],
  NotSubscriptionOwner: ['drop', 'Caller is not the owner of the subscription'],
  SubscriptionCompleted: [
    'drop',
    'Subscription is already completed, another node has likely already delivered the response',
  ],
  SubscriptionNotActive: ['drop', 'Subscription is not active'],
  UnsupportedVerifierToken: [
    'drop',
    'Unsupported verifier token. Attempting to pay a `IVerifier`-contract in a token it does not support receiving payments in',
  ],
  SignerMismatch: ['drop', 'Signer does not match.'],
  SignatureExpired: ['drop', 'EIP-712 Signature has expired.'],
  InvalidSignature: ['drop', 'The signature is not valid'],
  NonceInvalidated: ['drop', 'The nonce of the signature was invalidated'],
  TransferFailed: ['retry', 'Token transfer failed.'],
  InsufficientFunds: [
    'retry',
    'Insufficient funds. You either are trying to withdraw `amount > unlockedBalance` or are trying to escrow `amount > unlockedBalance`or attempting to unlock `amount > lockedBalance` ',
  ],
  InsufficientAllowance: ['retry', 'Insufficient allowance.'],
  NodeNotAllowed: ['drop', 'Node is not allowed to deliver this subscription.'],
  InsufficientBalance: ['retry', 'Insufficient balance.'],
  ETHTransferFailed: ['retry', 'Token transfer failed.'],
  SubscriptionExpired: ['drop', 'Subscription has expired'],
  CommitmentRequired: ['drop', 'Answers have to be committed to first'],
  FeeAboveTerms: ['retry', 'The protocol’s fee is above what the subscription allows'],
  PrepaymentSpent: ['drop', 'What was paid in advance is spent'],
  PrepaymentStuck: ['retry', 'The token does not let what was paid in advance go out'],
  // The fee may be lowered again.
  PayoutTooLow: ['retry', 'The payout is below what it was computed for'],
  StakeTooHigh: ['drop', 'The stake is above what is risked'],
  UnexpectedSubscription: ['drop', 'The subscription is another than it was computed for'],
  DeliveryTooLate: ['drop', 'The interval was over before the answer was mined'],
  Reentrancy: ['retry', 'The coordinator was called out of a delivery'],
}

/** The last two: the first deployments find out by sending. */
const aboutMoney: readonly string[] = [
  'InsufficientFunds',
  'InsufficientAllowance',
  'InsufficientBalance',
  'TransferFailed',
  'ETHTransferFailed',
]

const errors: Abi = [
  ...[eip712CoordinatorAbi, inboxAbi, walletAbi, walletFactoryAbi].flatMap(abi =>
    (abi as Abi).filter(({ type }) => type === 'error'),
  ),
  ...parseAbi([
    'error NodeNotAllowed()',
    'error InsufficientBalance()',
    'error TransferFailed()',
    'error ETHTransferFailed()',
  ]),
]

const names: ReadonlySet<string> = new Set(errors.flatMap(each => (each.type === 'error' ? [each.name] : [])))

/** What has no name; and what no endpoint answers, while they answer others. */
const reverted = 'reverted'
export const silent = 'silent'

/** What a failed simulation says of the delivery. */
export function revertOf(error: RpcError, standing: Standing): Revert {
  const decoded = decode(error.data)
  const found = decoded?.name === undefined ? undefined : known[decoded.name]
  if (decoded?.name !== undefined && found) {
    const [kind, message] = found
    return {
      kind: isNearBoundary(decoded.name, standing) ? 'retry' : kind,
      code: decoded.name,
      message,
      isKnown: true,
    }
  }
  const message = decoded === null ? saidOf(error) : decoded.isOurs ? decoded.text : cleaned(decoded.text)
  return { kind: 'retry', code: decoded?.name ?? reverted, message, isKnown: false }
}

/** Whether a wallet has too little, and may be filled. */
export function isAboutMoney({ code }: Pick<Revert, 'code'>): boolean {
  return aboutMoney.includes(code)
}

/** Whether it is what a delivery was refused with when it was tried, and no reason of the node's own. */
export function isOfCall(code: string): boolean {
  return code === reverted || code === silent || names.has(code)
}

/** Whether it has no name of anybody's. */
export function isUnnamed({ code }: Pick<Revert, 'code'>): boolean {
  return code === reverted
}

/** A revert of the consumer's in a name of the coordinator's, which that would not have used. */
export function ownRevert({ code }: Pick<Revert, 'code'>): Revert {
  const message = `Its consumer reverts with ${code}, of which nothing is true`
  return { kind: 'retry', code: reverted, message, isKnown: false }
}

/** Whether the call itself failed: not the node that was to try it. */
export function isRevert(error: RpcError): boolean {
  const refusal = error.isUnclear ? null : refusalOf(error)
  return refusal === 'reverted' || refusal === 'out_of_gas' || refusal === 'halted'
}

/** Whether it counts as passed, by what is said of it. `allowed`: in lower case. */
export function isAllowed(error: RpcError, allowed: readonly string[]): boolean {
  if (allowed.length === 0 || error.isUnclear) return false
  const decoded = decode(error.data)
  const said = `${error.message} ${decoded?.name ?? ''} ${decoded?.text ?? ''}`.toLowerCase()
  return allowed.some(text => said.includes(text))
}

/** The clock that a simulation goes by is a block's, and the next one's may be over the boundary. */
function isNearBoundary(name: string, { begin, end, time }: Standing): boolean {
  if (name !== 'SubscriptionNotActive' && name !== 'IntervalMismatch') return false
  // Over for good: no later block has it back.
  if (end !== null && time >= end) return false
  // Not open yet, however long it takes: a reorganisation has put the clock back.
  return time - begin <= boundarySeconds
}

/** By the selector that the data begins with. `isOurs`: the text is; else a contract's. */
function decode(data: string | undefined): { name?: string; text: string; isOurs: boolean } | null {
  if (!isHex(data) || data === '0x') return null
  try {
    const { errorName, args = [] } = decodeErrorResult({ abi: errors, data: data as Hex })
    if (errorName === 'Error') return { text: String(args[0]), isOurs: false }
    if (errorName === 'Panic') return { text: `Panic ${String(args[0])}`, isOurs: true }
    return { name: errorName, text: errorName, isOurs: true }
  } catch {
    return { text: `reverted with ${data.slice(0, 10)}`, isOurs: true }
  }
}

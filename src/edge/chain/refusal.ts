import { isHex } from 'viem'
import { cleaned } from './clean.ts'
import type { RpcError } from './rpc.ts'

/** What a chain says no with, whichever of its nodes is asked. */
export type Refusal = keyof typeof words

/** For operators: what nodes say themselves differs, and may hold anything. */
export const words = {
  reverted: 'execution reverted',
  out_of_gas: 'out of gas',
  halted: 'the call breaks off: an instruction fails',
  timeout: 'the call takes longer than a node gives it',
  unpaid: 'the signer cannot pay for it',
  gas: 'its gas is less than it takes, or more than a block has',
  known: 'already known',
  nonce_used: 'the nonce is used',
  nonce_gap: 'the nonce is too far from the ones before',
  too_cheap: 'it offers less than the market asks, or than what it replaces',
  too_dear: 'it offers more than a node lets through',
  invalid: 'no transaction of this chain',
} as const

/** Of whatever is executed, be it for a look. The others are of transactions alone. */
const executions: readonly Refusal[] = ['reverted', 'out_of_gas', 'halted', 'timeout', 'unpaid', 'gas']

/**
 * The texts of geth, erigon, nethermind, besu, reth and anvil, and of the chains that are made of them; the first that fits. A revert's may
 * say anything after the word, so it comes first.
 */
const texts: readonly (readonly [Refusal, RegExp])[] = [
  ['reverted', /\brevert(ed)?\b|vm execution error|transaction execution fails/i],
  [
    'out_of_gas',
    /out ?of ?gas|gas required exceeds|insufficient_gas|gas uint64 overflow|cannot estimate gas, gas spent exceeded/i,
  ],
  [
    'halted',
    /(invalid|undefined) ?(opcode|jump)|bad ?(instruction|jump)|opcode ?not ?found|stack ?(under|over)flow|stack limit reached|call depth|write protection|static ?call ?violation|state change during static|access ?violation|return ?data out of bounds|code size exceeded|evm error/i,
  ],
  ['timeout', /execution (aborted|timed? ?out)/i],
  ['known', /already ?(known|imported|exists)|known transaction|existing tx with same hash/i],
  ['nonce_used', /nonce (is )?too low|oldnonce|ownnoncealreadyused|nonce already used/i],
  [
    'nonce_gap',
    /nonce (is )?too high|noncegap|nonce too (far|distant)|nonce is too distant|toofarinfuture|gapped.nonce|lower nonce exists|future transaction tries/i,
  ],
  [
    'too_cheap',
    /underpriced|(below|less than) (the )?(current )?(block )?base ?fee|fee ?too ?low|gas ?price (too low|below)|replacementnotallowed|could not replace existing/i,
  ],
  [
    'too_dear',
    /exceeds the configured cap|fee cap exceeded|exceeds? (the )?fee cap|(tip|priority fee)( per gas)? (above|higher|greater|cannot be greater)/i,
  ],
  ['unpaid', /insufficient ?(sender )?(funds|balance)|not enough funds|upfront cost exceeds/i],
  [
    'gas',
    /intrinsic gas|exceeds (transaction |per transaction )?(block )?gas limit|gas limit (reached|exceeded|too high|below intrinsic)|gaslimitexceeded/i,
  ],
  [
    'invalid',
    /transaction type|oversized|rlp_too_long|invalid sender|failedtoresolvesender|invalid (transaction )?(signature|v, r, s)|invalid chain ?id|replay-protected|sender is contract|senderiscontract/i,
  ],
]
/** The one that has data, and that of nethermind and its like. */
const revertCodes: readonly number[] = [3, -32_015]

/** Null: none that is known. */
export function refusalOf({ code, message, data }: RpcError): Refusal | null {
  if (isHex(data) || revertCodes.includes(code)) return 'reverted'
  return texts.find(([, pattern]) => pattern.test(message))?.[0] ?? null
}

/** Whether it is the chain's answer to this method: to others a node that is well says nothing but a result. */
export function isAnswer(method: string, error: RpcError): boolean {
  // A chain without it has no tips.
  if (method === 'eth_maxPriorityFeePerGas') return isUnknownMethod(error)
  const refusal = refusalOf(error)
  if (refusal === null) return false
  if (method === 'eth_sendRawTransaction') return true
  return (method === 'eth_call' || method === 'eth_estimateGas') && isOfRuns(refusal)
}

function isOfRuns(refusal: Refusal): boolean {
  return executions.includes(refusal)
}

function isUnknownMethod({ code, message }: RpcError): boolean {
  return code === -32_601 || /method.{0,60}(not (found|supported|available)|does not exist)/i.test(message)
}

/** What an error says, for a row or a log line: in our own words, or without what may be a secret. */
export function saidOf(error: RpcError): string {
  const refusal = error.isUnclear ? null : refusalOf(error)
  if (refusal === null) return cleaned(error.message)
  if (refusal !== 'reverted') return words[refusal]
  const [, reason = ''] = /\breverted(?: with reason string)?:? +(.+)/is.exec(error.message) ?? []
  return reason === '' ? words.reverted : cleaned(`${words.reverted}: ${reason}`)
}

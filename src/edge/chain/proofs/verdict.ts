import { type Address, type Hex, hexToNumber, isHex, parseEventLogs } from 'viem'
import { eip712CoordinatorAbi } from '../../../protocol/abi/eip712-coordinator.ts'

/**
 * What moved the money of a proof. `isActive`: the verifier has judged in time, by `isValid`; else the window was over, and nobody's word
 * counted. `by`: who has called the coordinator. `node`, `by`: in lower case.
 */
export type Verdict = {
  subscription: number
  interval: number
  node: Address
  isActive: boolean
  isValid: boolean
  by: Address
}

/** The first, of the coordinator's event. */
export type Placed = Verdict & { hash: Hex; block: number; blockHash: Hex }

type Log = { address: Hex; topics: readonly Hex[]; data: Hex }

/** Those that a coordinator's logs tell of, in their order. `logs`: only its own. */
export function verdictsOf(logs: readonly Log[]): Verdict[] {
  return parseEventLogs({ abi: eip712CoordinatorAbi, eventName: 'ProofVerified', logs: logs as never }).map(
    ({ args }) => ({
      subscription: args.id,
      interval: args.interval,
      node: args.node.toLowerCase() as Address,
      isActive: args.active,
      isValid: args.valid,
      by: args.verifier.toLowerCase() as Address,
    }),
  )
}

/** What `eth_getLogs` was answered with, of a coordinator's; null: that is none. */
export function placedOf(result: unknown, coordinator: Address): Placed[] | null {
  if (!Array.isArray(result)) return null
  const own = result.filter(log => !isLog(log) || log.address.toLowerCase() === coordinator)
  const placed = own.map(log => {
    const { transactionHash: hash, blockNumber, blockHash } = log as Record<string, unknown>
    const [verdict] = isLog(log) ? verdictsOf([log]) : []
    if (!verdict || !isHex(hash) || !isHex(blockNumber) || blockNumber === '0x' || !isHex(blockHash))
      return null
    return { ...verdict, hash, block: hexToNumber(blockNumber), blockHash: blockHash.toLowerCase() as Hex }
  })
  return placed.every(one => one !== null) ? placed : null
}

function isLog(log: unknown): log is Log {
  const { address, topics, data } = (log ?? {}) as Record<string, unknown>
  return isHex(address) && isHex(data) && Array.isArray(topics) && topics.every(topic => isHex(topic))
}

/** What has become of a proof, as `proofs.state` has it. */
export type Outcome = 'accepted' | 'rejected' | 'finalized'

export function outcomeOf({ isActive, isValid }: Pick<Verdict, 'isActive' | 'isValid'>): Outcome {
  if (!isActive) return 'finalized'
  return isValid ? 'accepted' : 'rejected'
}

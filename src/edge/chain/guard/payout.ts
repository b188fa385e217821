import { type Address, encodeFunctionData, type Hex, hexToBigInt, size, slice, zeroAddress } from 'viem'
import { feeAbi } from '../../../protocol/abi/fee.ts'
import { returned, toCall, toWord } from '../call.ts'
import type { Subscription } from '../chain.ts'
import type { RpcAnswer, RpcCall } from '../rpc.ts'
import { judgeCall, pairOf } from '../stakes/judges.ts'
import type { Step } from '../step.ts'

/** What tells how much of a price reaches the node. */
type Priced = Pick<Subscription, 'id' | 'verifier' | 'paymentAmount' | 'paymentToken'>

/** `fee`: basis points that the protocol takes of each side; null: the chain does not say, or nothing pays. `byId`: base units; missing: likewise. */
export type Payouts = { fee: bigint | null; byId: ReadonlyMap<number, bigint> }

/** Basis points of a whole. */
const scale = 10_000n

/**
 * What reaches the node's wallet of a price: each side pays the protocol's fee on it, and the verifier has its own. Base units; below 0: the coordinator
 * cannot part it, and takes no answer.
 */
export function payoutOf(
  amount: bigint,
  { fee, verifierFee = 0n }: { fee: bigint; verifierFee?: bigint },
): bigint {
  return amount - (amount * 2n * fee) / scale - verifierFee
}

/**
 * What an answer to each of these would bring at the newest block, of those that pay. One request, and none where nothing pays.
 * @throws RpcUnavailable when no endpoint answers.
 */
export async function readPayouts(
  { chain, contracts, latest }: Pick<Step, 'chain' | 'contracts' | 'latest'>,
  subscriptions: readonly Priced[],
): Promise<Payouts> {
  const { fee } = contracts
  const paying = subscriptions.filter(({ paymentAmount }) => paymentAmount > 0n)
  if (paying.length === 0 || fee === null) return { fee: null, byId: new Map() }
  const judged = new Map(
    paying
      .filter(({ verifier }) => verifier !== zeroAddress)
      .map(subscription => [pairOf(subscription), subscription]),
  )
  const [quote, rate, ...fees] = await chain.rpc.send([
    ...rateCalls(fee, latest.number),
    ...[...judged.values()].map(subscription => judgeCall('fee', subscription, latest.number)),
  ])
  const taken = rateOf(quote) ?? toWord(rate)
  if (taken === null) return { fee: null, byId: new Map() }
  const verifierFees = new Map([...judged.keys()].map((key, index) => [key, toWord(fees[index])]))
  const byId = new Map(
    paying.flatMap(subscription => {
      const { id, verifier, paymentAmount } = subscription
      const verifierFee = verifier === zeroAddress ? 0n : verifierFees.get(pairOf(subscription))
      return verifierFee === null || verifierFee === undefined
        ? []
        : [[id, payoutOf(paymentAmount, { fee: taken, verifierFee })] as const]
    }),
  )
  return { fee: taken, byId }
}

/** Ours says what is really taken, which is nothing where nobody receives it; the first deployments have the rate alone. */
function rateCalls(to: Address, at: number): RpcCall[] {
  const calls = (['quote', 'FEE'] as const).map(functionName =>
    encodeFunctionData({ abi: feeAbi, functionName }),
  )
  return calls.map(data => toCall({ to, data }, at))
}

/** The first of two words. */
function rateOf(answer: RpcAnswer | undefined): bigint | null {
  const data: Hex | null = returned(answer)
  return data !== null && size(data) === 64 ? hexToBigInt(slice(data, 0, 32)) : null
}

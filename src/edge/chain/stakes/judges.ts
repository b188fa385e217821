import { type Address, encodeFunctionData } from 'viem'
import { iVerifierAbi } from '../../../protocol/abi/iverifier.ts'
import { toCall, toWord } from '../call.ts'
import type { Subscription } from '../chain.ts'
import { anchorCall } from '../next-id.ts'
import type { RpcCall } from '../rpc.ts'
import type { Step } from '../step.ts'

/** What a verifier takes for a proof that is paid in a token, in base units. `none`: it does not judge these. null: it is not told. */
export type Charge = bigint | 'none' | null

/** Whatever it calls, a verifier that says a word needs no more. */
const verifierGas = 250_000n

export type Pair = { verifier: Address; paymentToken: Address }

/** Names a verifier with a token. */
export function pairOf({ verifier, paymentToken }: Pair): string {
  return `${verifier} ${paymentToken}`
}

/** Asks a verifier of a token. */
export function judgeCall(
  functionName: 'isSupportedToken' | 'fee',
  { verifier, paymentToken }: Pair,
  at: number,
): RpcCall {
  const data = encodeFunctionData({ abi: iVerifierAbi, functionName, args: [paymentToken] })
  return toCall({ to: verifier, data, gas: verifierGas }, at)
}

/**
 * Asks the verifiers of subscriptions at the newest block.
 * @throws RpcUnavailable
 */
export async function readCharges(
  { chain, contracts, latest }: Step,
  subscriptions: readonly Subscription[],
): Promise<ReadonlyMap<string, Charge>> {
  const pairs = [...new Map(subscriptions.map(each => [pairOf(each), each])).values()]
  const at = latest.number
  const answers = await chain.rpc.send(
    pairs.flatMap(pair => (['isSupportedToken', 'fee'] as const).map(name => judgeCall(name, pair, at))),
    anchorCall(contracts, { at, ids: subscriptions.map(({ id }) => id) }),
  )
  return new Map(
    pairs.map((pair, index) => {
      const [supported, fee] = [answers[2 * index], answers[2 * index + 1]]
      if (supported?.error?.isUnclear || fee?.error?.isUnclear) return [pairOf(pair), null]
      return [pairOf(pair), toWord(supported) === 1n ? (toWord(fee) ?? 'none') : 'none']
    }),
  )
}

import { encodeFunctionData, zeroAddress } from 'viem'
import { walletAbi } from '../../protocol/abi/wallet.ts'
import { toCall, toWord } from './call.ts'
import type { Subscription } from './chain.ts'
import type { Obstacle } from './decide.ts'
import type { Step } from './step.ts'

/**
 * What of the node's own stands in the way of answering, by subscription. A wallet that the signer owns is never in the way of a stake: it
 * approves itself. One request, where another's wallet is to stake; else none.
 * @throws RpcUnavailable
 */
export async function ownObstacles(
  step: Pick<Step, 'chain' | 'nodeWallet' | 'block'>,
  subscriptions: readonly Subscription[],
): Promise<ReadonlyMap<number, Obstacle>> {
  const { isValid, isOwn } = step.nodeWallet
  if (!isValid) return mapOf(subscriptions.filter(needsWallet), 'payment_wallet')
  if (isOwn) return new Map()
  const staked = subscriptions.filter(needsStake)
  if (staked.length === 0) return new Map()
  const approved = await approvals(step, staked)
  return mapOf(
    staked.filter(({ paymentAmount }, index) => (approved[index] ?? 0n) < paymentAmount),
    'stake_not_approved',
  )
}

/** As the admission has it: a proof is backed with money of the node, which comes from there too. */
function needsWallet({ paymentAmount, verifier }: Subscription): boolean {
  return paymentAmount > 0n || verifier !== zeroAddress
}

function needsStake({ paymentAmount, verifier }: Subscription): boolean {
  return paymentAmount > 0n && verifier !== zeroAddress
}

/** The stake is the price, in its token, in the name of the account that answers (reference contracts 20). */
async function approvals(
  { chain: { config, rpc, signer }, block }: Pick<Step, 'chain' | 'block'>,
  staked: readonly Subscription[],
): Promise<(bigint | null)[]> {
  const answers = await rpc.send(
    staked.map(({ paymentToken }) => {
      const args = [signer.address, paymentToken] as const
      const data = encodeFunctionData({ abi: walletAbi, functionName: 'allowance', args })
      return toCall({ to: config.paymentAddress, data }, block.number)
    }),
  )
  return answers.map(toWord)
}

function mapOf(subscriptions: readonly Subscription[], obstacle: Obstacle): ReadonlyMap<number, Obstacle> {
  return new Map(subscriptions.map(({ id }) => [id, obstacle]))
}

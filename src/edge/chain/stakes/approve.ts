import { sql } from 'drizzle-orm'
import { encodeFunctionData } from 'viem'
import { walletAbi } from '../../../protocol/abi/wallet.ts'
import { type Errand, onItsWay, sendErrands } from '../outbox/errand.ts'
import { saidOf } from '../refusal.ts'
import type { Step } from '../step.ts'
import type { Approval } from './purse.ts'

/** Of the call data: selector, spender and token, in hex. */
const namedCharacters = 2 + 2 * (4 + 32 + 32)

/**
 * Sends what lets the signer have the node's wallet back proofs: a transaction for each wallet and token, one at a time however many ask for it. Nothing is
 * waited for. Who waits for it is looked at again when it is mined.
 * @throws RpcUnavailable
 */
export async function approveStakes(step: Step, approvals: readonly Approval[]): Promise<void> {
  const { chain, log } = step
  const outcomes = await sendErrands(
    step,
    approvals.map(approval => errandOf(step, approval)),
  )
  for (const [index, { token, amount }] of approvals.entries()) {
    const fields = { chain: chain.config.id, token, amount: String(amount) }
    const outcome = outcomes[index]
    if (outcome?.kind === 'sent') log.info('Stake being approved', fields)
    else if (outcome?.kind === 'failed')
      log.warn('Stake cannot be approved', { ...fields, error: saidOf(outcome.error) })
    else if (outcome !== undefined && outcome.problem !== onItsWay)
      log.warn('Stake not approved yet', { ...fields, reason: outcome.problem })
  }
}

function errandOf({ chain }: Step, { wallet, token, amount }: Approval): Errand {
  const { config, signer } = chain
  const data = encodeFunctionData({
    abi: walletAbi,
    functionName: 'approve',
    args: [signer.address, token, amount],
  })
  return {
    kind: 'approve',
    to: wallet,
    data,
    guard: sql`not exists (select 1 from transactions as other indexed by transactions_open
      where other.chain = ${config.id} and other.signer = ${signer.address} and other.state in ('signed', 'sent') and +other.kind = 'approve'
        and other."to" = ${wallet} and substr(other.data, 1, ${namedCharacters}) = ${data.slice(0, namedCharacters)})`,
  }
}

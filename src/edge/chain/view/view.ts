import { zeroAddress } from 'viem'
import type { DeliveryView, SubscriptionView } from '../../../protocol/chain.ts'
import { containersOf } from '../../../protocol/container.ts'
import type { ProofState, ProofView } from '../../../protocol/proof.ts'
import type { DeliveryRow, SubscriptionRow } from './read.ts'

/** What is shown of a row of `proofs`. */
export type ProofRow = Pick<
  DeliveryRow,
  'stake' | 'payout' | 'expires_at' | 'refunds' | 'settled_by' | 'settled_hash' | 'settled_block'
> & { state: ProofState; problem: string | null }

/** A subscription for its reader. */
export function subscriptionView(row: SubscriptionRow): SubscriptionView {
  const isPaid = row.payment_amount !== '0'
  return {
    chain: row.chain,
    id: row.id,
    state: row.state,
    reason: reasonOf(row.reason, row.message, row.params),
    containers: row.route === null ? null : containersOf(row.route),
    container_id: row.container_id,
    owner: row.owner,
    active_at: row.active_at,
    period: row.period,
    frequency: row.frequency,
    redundancy: row.redundancy,
    lazy: row.lazy === 1,
    verifier: row.verifier === zeroAddress ? null : row.verifier,
    payment: isPaid ? { amount: row.payment_amount, token: row.payment_token, wallet: row.wallet } : null,
    next_interval: row.next_interval,
    due_at: row.due_at,
    created_at: new Date(row.created_at).toISOString(),
  }
}

/** A delivery for its reader. */
export function deliveryView(row: DeliveryRow): DeliveryView {
  return {
    interval: row.interval,
    job: row.job,
    state: row.state,
    reason: reasonOf(row.reason, row.message, null),
    tries: row.tries,
    deadline: row.deadline,
    created_at: new Date(row.created_at).toISOString(),
    transaction: transactionView(row),
    proof:
      row.proof_state === null
        ? null
        : proofView({ ...row, state: row.proof_state, problem: row.proof_problem }),
  }
}

/** A proof for its reader. */
export function proofView(row: ProofRow): ProofView {
  const { state, stake, settled_by, settled_hash, settled_block } = row
  return {
    state,
    stake,
    payout: row.payout,
    expires_at: row.expires_at,
    refunds: row.refunds === 1,
    problem: row.problem,
    settled: settled_block === null ? null : { by: settled_by, hash: settled_hash, block: settled_block },
  }
}

function transactionView(row: DeliveryRow): DeliveryView['transaction'] {
  const { nonce, tx_state: state, tx_kind: kind, gas_used } = row
  if (nonce === null || state === null || kind === null) return null
  return {
    hash: row.hash,
    nonce,
    state,
    kind,
    problem: row.problem,
    block: row.mined_block,
    succeeded: row.status === null ? null : row.status === 1,
    gas_used,
    cost: costOf(row),
  }
}

/** As it is booked, with what a rollup takes for the chain below it; by the gas alone, where the books have forgotten it. */
function costOf({ gas_used, gas_price, gas_costs }: DeliveryRow): string | null {
  if (gas_used === null || gas_price === null) return null
  const booked = JSON.parse(gas_costs) as string[]
  if (booked.length === 0) return String(BigInt(gas_used) * BigInt(gas_price))
  return String(booked.reduce((sum, cost) => sum + BigInt(cost), 0n))
}

function reasonOf(code: string | null, message: string | null, params: string | null) {
  if (code === null) return null
  return { code, message, params: params === null ? {} : (JSON.parse(params) as Record<string, unknown>) }
}

import { sql } from 'drizzle-orm'
import { encodeFunctionData } from 'viem'
import { eip712CoordinatorAbi } from '../../../protocol/abi/eip712-coordinator.ts'
import { type Errand, sendErrands } from '../outbox/errand.ts'
import { revertOf } from '../reverts.ts'
import type { Step } from '../step.ts'
import type { Proof } from './proof.ts'

/** Why a proof is not finalized yet, and in how many seconds it is tried again. `problem` null: it is on its way, or somebody else was first. */
export type Finalizing = { proof: Proof; problem: string | null; pause: number }

/** Until the transaction, ours or another's, is seen to have done it. */
const soonSeconds = 15
const heldSeconds = 60
/** The first deployments let a wallet's owner stand in the way for as long as that likes. */
const failedSeconds = 3_600

/** Has the money of proofs move that got no verdict in time: whoever asks for it, the coordinator does. */
export async function finalizeProofs(step: Step, proofs: readonly Proof[]): Promise<Finalizing[]> {
  const sent = proofs.filter(({ isFinalizing }) => !isFinalizing)
  const outcomes = await sendErrands(
    step,
    sent.map(proof => errandOf(step, proof)),
  )
  const { latest, log, chain } = step
  const tried = sent.map((proof, index): Finalizing => {
    const outcome = outcomes[index]
    const { subscription, interval } = proof
    const fields = { chain: chain.config.id, subscription, interval }
    if (outcome?.kind === 'sent') {
      log.info('Proof being finalized', fields)
      return { proof, problem: null, pause: soonSeconds }
    }
    if (outcome?.kind !== 'failed') return { proof, problem: outcome?.problem ?? null, pause: heldSeconds }
    const { code, message } = revertOf(outcome.error, { begin: 0, end: null, time: latest.time })
    if (code === 'ProofRequestNotFound') return { proof, problem: null, pause: soonSeconds }
    log.warn('Proof cannot be finalized', { ...fields, error: message })
    const problem = `It cannot be finalized: ${message}`
    return { proof, problem, pause: outcome.error.isUnclear ? heldSeconds : failedSeconds }
  })
  const waiting = proofs
    .filter(({ isFinalizing }) => isFinalizing)
    .map(proof => ({ proof, problem: null, pause: soonSeconds }))
  return [...tried, ...waiting]
}

function errandOf({ chain, contracts }: Step, { subscription, interval, node }: Proof): Errand {
  const { id } = chain.config
  const isIt = sql`chain = ${id} and subscription = ${subscription} and interval = ${interval}`
  return {
    kind: 'finalize',
    to: contracts.coordinator,
    data: encodeFunctionData({
      abi: eip712CoordinatorAbi,
      functionName: 'finalizeProofVerification',
      // What it says counts for nothing by then.
      args: [subscription, interval, node, true],
    }),
    guard: sql`exists (select 1 from proofs where ${isIt} and state = 'pending' and not exists (select 1 from transactions as mine
      where mine.id = proofs.tx and mine.state in ('signed', 'sent')))`,
    mark: ({ id, isOurs }) => sql`update proofs set tx = ${id} where ${isIt} and ${isOurs}`,
  }
}

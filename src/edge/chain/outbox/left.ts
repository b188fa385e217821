import { sql } from 'drizzle-orm'
import { type Address, hexToBigInt } from 'viem'
import { returned, toParam } from '../call.ts'
import { anchorCall } from '../next-id.ts'
import { type RpcAnswer, type RpcCall, RpcUnavailable } from '../rpc.ts'
import type { Step } from '../step.ts'
import { blockTimes } from './block-times.ts'
import { broadcast } from './broadcast.ts'
import { displace, forgetPassed, noteTaken } from './displace.ts'
import { writeMined } from './mined.ts'
import { asSigned, type Open, readOthers } from './open.ts'
import { isAbove, receiptCalls, receiptsOf } from './receipts.ts'

/** Of block time: for so long what was left may still be mined. Longer, its signer has no funds, or the market has left it behind. */
const patienceSeconds = 600

/**
 * Looks after what was signed with a key that the node has no more: it can be sent again, and not be replaced. What is not mined in time, and
 * whose nonce is not used, is given up; its answers are simulated, and sent by the signer that there is, if the chain still wants them.
 * @returns how many are on their way still.
 */
export async function confirmLeft(step: Step): Promise<number> {
  const { db, chain, contracts, latest } = step
  const left = await readOthers(db, { chain: chain.config.id, signer: chain.signer.address })
  if (left.length === 0) return 0
  const signers = [...new Set(left.map(({ signer }) => signer))]
  const answers = await chain.rpc.send(
    [...signers.map(signer => countCall(signer, latest.number)), ...receiptCalls(left)],
    anchorCall(contracts, { at: latest.number, ids: [] }),
  )
  const counts = new Map(signers.map((signer, index) => [signer, countOf(answers[index])]))
  const receipts = receiptsOf(left, {
    answers: answers.slice(signers.length),
    coordinator: contracts.coordinator,
  })
  const timeOf = await blockTimes(step, receipts.values())
  const again: Open[] = []
  let open = left.length
  for (const each of left) {
    const receipt = receipts.get(each.id)
    if (receipt && isAbove(step, receipt)) continue
    if (receipt) {
      await writeMined(step, { open: each, receipt, at: timeOf(receipt) })
      open -= 1
    } else if ((counts.get(each.signer) ?? 0) > each.nonce) await noteTaken(step, each)
    else if (await giveUp(step, each)) open -= 1
    else if (isToSend(step, each)) again.push(each)
  }
  await broadcast(step, await asSigned(step, again))
  return open
}

/** What a signer has on its way that was left, and is the node's again, is its own. */
export async function takeBack({ db }: Step, open: readonly Open[]): Promise<void> {
  const ids = open.filter(({ leftAt }) => leftAt !== null).map(({ id }) => id)
  if (ids.length === 0) return
  await db.orm.run(sql`
    update transactions set left_at = null where id in (select value from json_each(${JSON.stringify(ids)}))`)
}

/** @returns false when there is time left. */
async function giveUp(step: Step, open: Open): Promise<boolean> {
  const { db, chain, latest, log } = step
  if (open.passedBlock !== null) await forgetPassed(step, open)
  if (open.leftAt === null) {
    await db.orm.run(sql`
      update transactions set left_at = ${latest.time} where id = ${open.id} and state in ('signed', 'sent') and left_at is null`)
    return false
  }
  if (latest.time - open.leftAt < patienceSeconds) return false
  const displaced = await displace(db, {
    id: open.id,
    problem: 'Its signer is not the node’s any more, and it was not mined',
    block: latest.number,
    where: sql`left_at <= ${latest.time - patienceSeconds}`,
    why: { reason: 'signer_changed', message: 'Another signer had sent it, and it was not mined.' },
  })
  if (displaced)
    log.warn('Left transaction given up', { chain: chain.config.id, signer: open.signer, nonce: open.nonce })
  return displaced
}

/** Endpoints forget what waits for long. What would answer another subscription, or nobody, is better forgotten. */
function isToSend({ chain, latest }: Step, open: Open): boolean {
  if (open.isDoubtful || open.isAstray || (open.kind === 'deliver' && open.answers === 0)) return false
  return (
    open.state === 'signed' ||
    open.sentBlock === null ||
    latest.number - open.sentBlock >= chain.config.gas.bumpAfterBlocks
  )
}

function countCall(signer: Address, at: number): RpcCall {
  return { method: 'eth_getTransactionCount', params: [signer, toParam(at)] }
}

function countOf(answer: RpcAnswer | undefined): number {
  const told = returned(answer)
  if (told === null) throw new RpcUnavailable('The chain does not tell where a signer stands.')
  return Number(hexToBigInt(told))
}

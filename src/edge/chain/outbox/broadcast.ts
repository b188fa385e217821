import { sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import { saidOf, words } from '../refusal.ts'
import type { RpcAnswer } from '../rpc.ts'
import type { Step } from '../step.ts'
import { isTaken } from '../taken.ts'

export type Sending = { id: string; nonce: number; hash: Hex; raw: Hex }

/** `sent`: some endpoint has it. Else why none took it. */
type Outcome = { sent: true } | { sent: false; problem: string }

/** Gives transactions to every endpoint, and writes down which are known now. @returns why the first of the others was not taken. */
export async function broadcast(step: Step, sendings: readonly Sending[]): Promise<string | null> {
  if (sendings.length === 0) return null
  const { db, chain, latest, log } = step
  const answers = await chain.rpc.sendToAll(
    sendings.map(({ raw }) => ({ method: 'eth_sendRawTransaction', params: [raw] })),
  )
  const outcomes = sendings.map((_, index) => outcomeOf(answers.map(endpoint => endpoint[index])))
  const items = sendings.map(({ id }, index) => {
    const outcome = outcomes[index]
    return { id, p: outcome?.sent === false ? outcome.problem : null }
  })
  await db.orm.run(sql`
    update transactions set state = iif(item.value ->> 'p' is null, 'sent', state), problem = item.value ->> 'p',
      sent_block = iif(item.value ->> 'p' is null, ${latest.number}, sent_block)
    from json_each(${JSON.stringify(items)}) as item
    where transactions.id = item.value ->> 'id' and transactions.state in ('signed', 'sent')`)
  let first: string | null = null
  for (const [index, { nonce, hash }] of sendings.entries()) {
    const outcome = outcomes[index]
    const fields = { chain: chain.config.id, nonce, hash }
    if (outcome?.sent !== false) log.info('Sent tx', fields)
    else log.warn('Failed to send tx', { ...fields, error: outcome.problem })
    if (outcome?.sent === false) first ??= outcome.problem
  }
  return first
}

/** What another offer mends, at an endpoint that says so: the others may never take it. */
const prices: readonly string[] = [words.too_cheap, words.too_dear, words.unpaid]

function outcomeOf(answers: readonly (RpcAnswer | undefined)[]): Outcome {
  const problems: string[] = []
  for (const answer of answers) {
    if (answer === undefined) continue
    if (isTaken(answer)) return { sent: true }
    if (answer.error) problems.push(saidOf(answer.error))
  }
  const ofPrice = problems.find(problem => prices.includes(problem))
  return { sent: false, problem: ofPrice ?? problems[0] ?? 'No endpoint answered' }
}

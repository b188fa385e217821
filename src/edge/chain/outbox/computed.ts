import { sql } from 'drizzle-orm'
import { type Address, type Hex, zeroAddress } from 'viem'
import { containersOf } from '../../../protocol/container.ts'
import { parseJson } from '../../../protocol/json.ts'
import type { Db } from '../../db/open.ts'
import { chunks } from '../../jobs/chunks.ts'
import { readParts } from '../../jobs/parts.ts'
import { selectTracked } from '../due.ts'
import { type AnswerProblem, encodeAnswer, tooLarge } from '../encode.ts'
import { boundsOf } from '../guard/bounds.ts'
import { answerCall, deliverCall, walletFor } from '../simulate.ts'
import type { Step } from '../step.ts'
import type { Tracked } from '../tracked.ts'
import { type Dropped, dropDeliveries } from './drop.ts'
import { failed } from './failed.ts'

/** Names a delivery of a chain. */
export type Key = { subscription: number; interval: number }

/** An answer that has no transaction yet. `call`: call data of it. */
export type Computed = Key & {
  tries: number
  /** Unix seconds of block time; null: none. */
  deadline: number | null
  begin: number
  /** Why it was not sent when it was last tried; null: it was not tried. */
  reason: string | null
  /** Whether that is that it was mined, and failed. */
  hasFailed: boolean
  /** What its proof is backed with; null: nothing. */
  stake: { token: Address; amount: bigint; verifier: Address } | null
  /** Of the subscription. */
  owner: Address
  token: Address
  verifier: Address
  /** Base units that it pays, before anybody takes something off. */
  price: bigint
  isPaid: boolean
  /** Base units for the node, as they were reckoned when it was begun; null: they were not. */
  payout: bigint | null
  /** Its containers; null: it is not known. */
  route: string | null
  /** Basis points that the protocol may take of each side; 0: whatever it takes. */
  maxFee: number
  redundancy: number
  /** From which block on it may be sent; null: nobody has looked. */
  sendBlock: number | null
  call: Hex
}

type Row = Key & {
  tries: number
  deadline: number | null
  reason: string | null
  failed: number
  stake_token: Address | null
  stake: string | null
  verifier: Address
  active_at: number
  period: number
  owner: Address
  min_payout: string | null
  payment_token: Address
  payment_amount: string
  asked_route: string | null
  max_fee: number
  redundancy: number
  send_block: number | null
  call: Hex | null
  job: string
  attempt: number | null
  route: string | null
  result: string | null
  result_bytes: number | null
  result_parts: number | null
  requires_proof: number | null
  /** Answers that may be tried now, of which these are the first; 32 at most. */
  found: number
}

/** Whose deadline is so many blocks away waits for nobody. */
const urgentGaps = 4
/** And at the least: blocks may take longer than is known. */
const urgentSeconds = 24

/** What one round sends, in answers and in characters of them: an SQL response may have 4 MiB, at some hosts. */
const maxComputed = 32
const maxCharacters = 2 * 1024 * 1024

/** `isLeft`: there are more answers than one round takes. */
export type ReadComputed = { computed: Computed[]; isLeft: boolean }

/** Answers that may be tried now, each encoded once and kept so. What cannot be encoded is dropped. */
export async function readComputed(step: Step): Promise<ReadComputed> {
  const { db, chain, log } = step
  const { id } = chain.config
  const rows = await readRows(step)
  const asked = await selectAsked(db, { chain: id, rows })
  const computed: Computed[] = []
  const encoded: Encoded[] = []
  const dropped: Dropped[] = []
  for (const row of rows) {
    const { subscription, interval, tries, deadline, reason } = row
    const tracked = asked.get(subscription)
    // Somebody else has given it an id meanwhile, or taken it back.
    if (row.call === null && !tracked && subscription < 0) continue
    const call = row.call ?? (await encode(step, row, tracked))
    if (typeof call !== 'string') {
      dropped.push({ subscription, interval, reason: call.problem, message: call.message })
      const event =
        call.problem === 'results_empty' ? 'Container results empty' : 'Container execution errored'
      log.warn(event, { chain: id, subscription, interval, code: call.problem, error: call.message })
      continue
    }
    const nodeWallet = walletFor(step, tracked?.subscription)
    if (row.call === null) encoded.push({ subscription, interval, call, nodeWallet })
    const begin = row.active_at + (interval - 1) * row.period
    computed.push({
      subscription,
      interval,
      tries,
      deadline,
      begin,
      reason,
      hasFailed: row.failed === 1,
      stake: stakeOf(row),
      ...termsOf(row),
      call,
    })
  }
  await keep(db, { chain: id, encoded })
  await dropDeliveries(db, { chain: id, dropped, block: null })
  return { computed, isLeft: rows.length === maxComputed || rows.length < (rows[0]?.found ?? 0) }
}

function stakeOf({ stake_token: token, stake, verifier }: Row): Computed['stake'] {
  return token === null || stake === null ? null : { token, amount: BigInt(stake), verifier }
}

function termsOf(
  row: Row,
): Omit<Computed, keyof Key | 'tries' | 'deadline' | 'begin' | 'reason' | 'hasFailed' | 'stake' | 'call'> {
  const { owner, redundancy, payment_token: token, payment_amount: amount, min_payout: payout } = row
  const sendBlock = row.send_block
  return {
    owner,
    redundancy,
    sendBlock,
    token,
    verifier: row.verifier,
    price: BigInt(amount),
    isPaid: amount !== '0',
    payout: payout === null ? null : BigInt(payout),
    route: row.asked_route,
    maxFee: row.max_fee,
  }
}

/** Call data, or a result of 64 KiB at most, which may be twice as long on its way: as JSON within JSON. What is in parts is read by itself. */
async function readRows({ db, chain: { config }, latest, gapSeconds }: Step): Promise<Row[]> {
  const { orm, now } = db
  return await orm.all<Row>(sql`
    select * from (
      select *, sum(size) over (rows unbounded preceding) as total, count(*) over () as found from (
        select d.subscription, d.interval, d.tries, d.deadline, d.reason, coalesce(d.message = ${failed.message}, 0) as failed, d.stake_token, d.stake, s.verifier, s.active_at, s.period, s.owner, s.payment_token,
          s.payment_amount, s.route as asked_route, s.max_fee, s.redundancy, d.min_payout, d.send_block, d.call, d.job, j.attempt, j.route, j.result,
          j.result_bytes, j.result_parts, j.requires_proof, coalesce(length(d.call), iif(j.result is null, 0, 2 * j.result_bytes)) as size
        from deliveries d indexed by deliveries_computed
          join subscriptions s on s.chain = d.chain and s.id = d.subscription
          left join jobs j on j.id = d.job and d.call is null
        where d.chain = ${config.id} and d.state = 'computed' and d.not_before <= ${now}
          and (coalesce(d.send_block, 0) <= ${latest.number} or d.deadline <= ${latest.time + Math.max(urgentSeconds, urgentGaps * gapSeconds)})
        order by d.not_before limit ${maxComputed}))
    where total <= ${maxCharacters}`)
}

/** The subscriptions: what was signed for them may have to go to the chain with their answer. */
async function selectAsked(
  db: Db,
  { chain, rows }: { chain: number; rows: readonly Row[] },
): Promise<ReadonlyMap<number, Tracked>> {
  const ids = rows.filter(row => row.call === null).map(row => row.subscription)
  return ids.length === 0 ? new Map() : await selectTracked(db, { chain, ids })
}

async function encode(step: Step, row: Row, tracked: Tracked | undefined): Promise<Hex | AnswerProblem> {
  const { db, chain, contracts } = step
  const { config } = chain
  const { subscription, interval } = row
  if (row.result_bytes === null || row.route === null)
    return { problem: 'results_empty', message: 'The job has no result any more.' }
  // In hex, two for each byte; and what stands around it.
  if (row.result_bytes > 6 * config.maxOutputBytes + 64 * 1024)
    return tooLarge(
      `The answer is ${row.result_bytes} bytes of JSON; ${config.maxOutputBytes} bytes are the most.`,
    )
  const text = await resultText(db, row)
  try {
    const result = parseJson(text)
    const output = result instanceof Map ? result.get('output') : undefined
    if (output === undefined)
      return { problem: 'results_empty', message: `${containersOf(row.route).at(-1)} gave no output.` }
    const answer = encodeAnswer(output, {
      stringOutput: config.stringOutput,
      maxBytes: config.maxOutputBytes,
      requiresProof: row.requires_proof === 1,
    })
    if ('problem' in answer) return answer
    const delivered = { interval, ...answer, nodeWallet: walletFor(step, tracked?.subscription) }
    if (!tracked) return deliverCall({ subscription, ...delivered })
    const { min_payout: minPayout, deadline } = row
    // What an older version has begun may have no least pay, and is bound all the same.
    const bounds =
      row.payment_amount === '0' || !contracts.features.bounded
        ? null
        : boundsOf(tracked.subscription, { minPayout: BigInt(minPayout ?? 0), deadline })
    return answerCall(step, tracked, delivered, bounds)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return { problem: 'invalid_output', message: 'The output is no JSON, or is nested too deep.' }
  }
}

async function resultText(db: Db, { job: id, attempt, result, result_parts: parts }: Row): Promise<string> {
  if (!parts) return result ?? ''
  let text = ''
  const decoder = new TextDecoder()
  for await (const piece of readParts(db, { id, kind: 'result', attempt: attempt ?? 0, parts }))
    text += decoder.decode(piece, { stream: true })
  return text + decoder.decode()
}

type Encoded = Key & { call: Hex; nodeWallet: Address }

/** With the wallet that each names: what moves in it is the node's, also when another is configured by then. */
async function keep(
  { orm }: Db,
  { chain, encoded }: { chain: number; encoded: readonly Encoded[] },
): Promise<void> {
  for (const chunk of chunks(encoded, ({ call }) => call.length)) {
    const items = chunk.map(({ subscription, interval, call, nodeWallet }) => ({
      c: chain,
      s: subscription,
      i: interval,
      d: call,
      w: nodeWallet === zeroAddress ? null : nodeWallet.toLowerCase(),
    }))
    await orm.run(sql`
      update deliveries set call = item.value ->> 'd', node_wallet = item.value ->> 'w'
      from json_each(${JSON.stringify(items)}) as item
      where deliveries.chain = item.value ->> 'c' and subscription = item.value ->> 's' and interval = item.value ->> 'i'
        and +state = 'computed' and call is null`)
  }
}

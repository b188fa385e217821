import { sql } from 'drizzle-orm'
import type { Address } from 'viem'
import { readDataFees } from '../guard/data-fee.ts'
import { readFinalizing } from '../guard/finalizing.ts'
import { worthOf } from '../guard/serve.ts'
import type { Step } from '../step.ts'
import { isShort } from './fees.ts'
import type { Market } from './market.ts'
import type { Open } from './open.ts'

/** By transaction: wei for a unit of gas that its answers pay for. Of what is missing it is not told what the chain takes beside gas. */
export type Covered = ReadonlyMap<string, bigint>

type Row = {
  tx: string
  gas: number | null
  bytes: number
  payout: string | null
  token: Address
  price: string
  verifier: Address
}

/**
 * What a unit of gas of these may cost, so that their answers bring what they cost: by the estimates that they were sent with. A statement and a request,
 * and a statement more where something is staked.
 * @throws RpcUnavailable
 */
export async function readCovered(step: Step, open: readonly Pick<Open, 'id' | 'gas'>[]): Promise<Covered> {
  const { db, chain } = step
  const ids = JSON.stringify(open.map(({ id }) => id))
  const rows = await db.orm.all<Row>(sql`
    select d.tx, d.gas, coalesce(length(d.call), 0) / 2 as bytes, d.min_payout as payout, s.payment_token as token, s.payment_amount as price, s.verifier
    from json_each(${ids}) as asked cross join deliveries d indexed by deliveries_tx on d.tx = asked.value and d.state = 'sending'
      cross join subscriptions s on s.chain = d.chain and s.id = d.subscription`)
  const answers = rows.map(row => ({ ...row, paymentAmount: BigInt(row.price) }))
  const finalizing = await readFinalizing(step, answers)
  const dataFeeOf = await readDataFees(
    step,
    answers.flatMap(answer => [answer.bytes, finalizing(answer).bytes]),
  )
  const covered = new Map<string, bigint>()
  for (const { id, gas: limit } of open) {
    const own = answers.filter(({ tx }) => tx === id)
    const dataFees = own.map(answer => dataFeeOf(answer.bytes, finalizing(answer).bytes))
    if (dataFees.includes(null)) continue
    const worth = own.reduce(
      (sum, { payout, token }) =>
        sum + worthOf(chain.config.guard.worth.prices, { amount: BigInt(payout ?? 0), token }),
      0n,
    )
    const gas = own.reduce((sum, answer) => sum + (answer.gas ?? limit) + finalizing(answer).gas, 0)
    const left = dataFees.reduce<bigint>((sum, fee) => sum - (fee ?? 0n), worth)
    covered.set(id, left > 0n && gas > 0 ? left / BigInt(gas) : 0n)
  }
  return covered
}

/** Whether something behind it pays for its gas at the market's price, and so needs its nonce used up. */
export function isNeeded(
  { chain: { config } }: Pick<Step, 'chain'>,
  { each, open, covered, market }: { each: Open; open: readonly Open[]; covered: Covered; market: Market },
): boolean {
  return open.some(({ id, nonce, kind }) => {
    if (nonce <= each.nonce || kind === 'cancel') return false
    const most = covered.get(id)
    return kind !== 'deliver' || (most !== undefined && !isShort(config.gas, most, market))
  })
}

/** Whether it is the first of those that leave no room, or little of the balance, for others that may pay. */
export function holdsUp(
  { chain: { config } }: Pick<Step, 'chain'>,
  { each, open, market }: { each: Open; open: readonly Open[]; market: Market },
): boolean {
  const isFirst = open.every(({ nonce }) => nonce >= each.nonce)
  const reserved = open.reduce((sum, { gas, fees }) => sum + BigInt(gas) * fees.maxFeePerGas, 0n)
  return isFirst && (open.length >= config.gas.maxInFlight || 2n * reserved > market.balance)
}

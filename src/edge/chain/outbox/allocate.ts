import { sql } from 'drizzle-orm'
import { uuidv7 } from 'uuidv7'
import { type Hex, keccak256 } from 'viem'
import type { SignableTransaction } from '../chain.ts'
import type { Step } from '../step.ts'
import type { Fees } from './fees.ts'
import type { Planned } from './plan.ts'
import { isUsed } from './used.ts'

/** A transaction that is written down, and has to be sent. */
export type Allocated = { id: string; nonce: number; hash: Hex; raw: Hex }

/** Others that take nonces of the same signer win a race each. */
const maxRaces = 4

/**
 * Takes a nonce for answers: it is signed first, and then written down with what was signed and whose answers it carries, in one batch that
 * does nothing if the nonce or one of the answers was taken meanwhile. `first`: the first nonce that the chain has not used.
 * @returns null when somebody else sends some of these answers.
 */
export async function allocate(
  step: Step,
  { planned, fees, first }: { planned: Planned; fees: Fees; first: number },
): Promise<Allocated | null> {
  for (let race = 0; race < maxRaces; race++) {
    const nonce = await nextNonce(step, first)
    if (nonce === null) return null
    const taken = await take(step, { planned, fees, nonce })
    if (taken !== null) return taken
    if (!(await areFree(step, planned))) return null
  }
  return null
}

/**
 * The lowest nonce that the chain has not used, and this node neither. A hole, as a reorganisation can leave one, is filled before anything
 * goes behind it; what lies below a final one is none, but forgotten.
 */
export async function nextNonce({ db, chain }: Step, first: number): Promise<number | null> {
  const { id } = chain.config
  const { address } = chain.signer
  const used = sql`select nonce from transactions indexed by transactions_nonce
    where chain = ${id} and signer = ${address} and state <> 'displaced' and nonce`
  const [row] = await db.orm.all<{ nonce: number }>(sql`
    select min(free.nonce) as nonce from (
      select ${first} as nonce where not exists (${used} = ${first})
      union all
      select nonce + 1 from (${used} >= ${first}) as mine where not exists (${used} = mine.nonce + 1)) as free
    where not ${isUsed({ chain: id, signer: address, nonce: sql`free.nonce` })}`)
  return row?.nonce ?? null
}

async function take(
  { db, chain, contracts }: Step,
  { planned, fees, nonce }: { planned: Planned; fees: Fees; nonce: number },
): Promise<Allocated | null> {
  const { orm, now } = db
  const { config, signer } = chain
  const { data, gas, deadline } = planned
  const transaction = toSignable({ chainId: config.id, nonce, to: contracts.coordinator, data, gas, fees })
  const raw = await signer.signTransaction(transaction)
  const hash = keccak256(raw)
  const id = uuidv7()
  const keys = JSON.stringify(
    planned.deliveries.map(({ subscription, interval, gas: own }) => [subscription, interval, own]),
  )
  const theirs = sql`deliveries where chain = ${config.id} and state = 'computed' and tx is null
    and (subscription, interval) in (select value ->> 0, value ->> 1 from json_each(${keys}))`
  const isOurs = sql`exists (select 1 from transactions where id = ${id})`
  const [stored] = await orm.batch([
    orm.all(sql`
      insert into transactions (id, chain, signer, nonce, state, kind, "to", gas_limit, deadline, created_at, data)
      select ${id}, ${config.id}, ${signer.address}, ${nonce}, 'signed', 'deliver', ${contracts.coordinator}, ${gas}, ${deadline},
        ${now}, ${data}
      where (select count(*) from ${theirs}) = ${planned.deliveries.length}
      on conflict do nothing returning id`),
    orm.run(sql`
      insert into raws (hash, tx, seq, max_fee, priority_fee, created_at, raw)
      select ${hash}, ${id}, 0, ${String(fees.maxFeePerGas)}, ${String(fees.maxPriorityFeePerGas)}, ${now}, ${raw} where ${isOurs}`),
    orm.run(sql`
      update deliveries set state = 'sending', tx = ${id}, reason = null, message = null,
        gas = (select value ->> 2 from json_each(${keys}) where value ->> 0 = subscription and value ->> 1 = interval)
      where rowid in (select rowid from ${theirs}) and ${isOurs}`),
  ])
  return stored.length === 1 ? { id, nonce, hash, raw } : null
}

async function areFree({ db, chain }: Step, { deliveries }: Planned): Promise<boolean> {
  const keys = JSON.stringify(deliveries.map(({ subscription, interval }) => [subscription, interval]))
  const [row] = await db.orm.all<{ free: number }>(sql`
    select count(*) as free from deliveries where chain = ${chain.config.id} and state = 'computed' and tx is null
      and (subscription, interval) in (select value ->> 0, value ->> 1 from json_each(${keys}))`)
  return row?.free === deliveries.length
}

export type Signable = {
  chainId: number
  nonce: number
  to: Hex
  data: Hex
  gas: number
  fees: Fees
}

export function toSignable({ chainId, nonce, to, data, gas, fees }: Signable): SignableTransaction {
  return { type: 'eip1559', chainId, nonce, to, data, value: 0n, gas: BigInt(gas), ...fees }
}

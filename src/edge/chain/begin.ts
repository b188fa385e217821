import { sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import { destination, source } from '../../protocol/job.ts'
import { limits } from '../../protocol/limits.ts'
import type { Db } from '../db/open.ts'
import { fits, type QueueBounds, room } from '../jobs/enqueue.ts'
import { isLane, mayWaitForChain } from '../jobs/lanes.ts'
import type { Subscription } from './chain.ts'
import { inputFingerprint, inputText } from './input.ts'
import { asRead, type Read } from './move.ts'
import { ownerOfChain } from './owner.ts'

/** A job for one interval of a subscription. `expiryMs`: how long it may wait in the queue. */
export type Beginning = Read & {
  interval: number
  job: string
  route: string
  requiresProof: boolean
  /** What its proof is backed with: as much as it pays. null: nothing. */
  stake: Pick<Subscription, 'paymentToken' | 'paymentAmount' | 'verifier'> | null
  /** Null: the data of its delegation. */
  input: Hex | null
  /** Of that data; 0: it has none. */
  dataBytes: number
  /** Unix seconds of block time; null: none. */
  deadline: number | null
  /** Base units that are to reach the node's wallet; null: not bounded. */
  minPayout: bigint | null
  expiryMs: number
}

export type BeginOptions = {
  chain: number
  /** Of one statement: a MiB of input at most. */
  beginnings: readonly Beginning[]
  /** The policy that they were admitted under; another one stores nothing. */
  epoch: number
  bounds: QueueBounds
  /** Of the plan: where others have begun something with a stake since, nothing that has one is stored. */
  stakings: number | null
}

/** Text that a job adds to the statement that stores it. */
export function textBytes({ input, route }: Beginning): number {
  return (input?.length ?? 0) + route.length + 300
}

/**
 * Statements for a batch that store a delivery and its job for each interval that has none, as far as the queue's bounds allow. Whoever
 * else begins the same interval finds the delivery there, or the subscription moved on. Done again, as when its answer was lost on the way,
 * they store nothing. The second one returns the jobs stored.
 */
export function beginJobs({ orm, now }: Db, { chain, beginnings, epoch, bounds, stakings }: BeginOptions) {
  const owner = ownerOfChain(chain)
  const items = toItems(beginnings)
  const terms = items.map(({ text: _, ...item }) => item)
  const inline = items.map(({ text, ...item }) => ({ ...item, d: item.parts === 0 ? text : null }))
  const large = items
    .filter(({ parts }) => parts > 0)
    .map(({ i, n, j, so, text, parts }) => ({
      i,
      n,
      j,
      so,
      d: text,
      q: Array.from({ length: parts }, (_, seq) => seq),
    }))
  const item = sql.raw('item.value')
  const delegation = sql`left join delegations on delegations.chain = ${chain} and delegations.subscription = ${item} ->> 'i'
    and ${item} ->> 'so' = ${source.offchain}`
  const isOurs = sql`exists (select 1 from deliveries where chain = ${chain} and subscription = ${item} ->> 'i'
    and interval = ${item} ->> 'n' and job = ${item} ->> 'j')`
  return [
    orm.run(sql`
      insert into deliveries (chain, subscription, interval, job, state, deadline, created_at, stake_token, stake, stake_verifier, min_payout)
      select ${chain}, value ->> 'i', value ->> 'n', value ->> 'j', 'computing', value ->> 'dl', ${now}, value ->> 'kt', value ->> 'k', value ->> 'kv',
        value ->> 'mp'
      from json_each(${JSON.stringify(terms)})
      where (select epoch from policy) = ${epoch} and ${fits(owner, { bytes: sql`value ->> 'sum'`, bounds })}
        and ${mayWaitForChain({ route: sql`value ->> 'r'`, others: sql`value ->> 'lanes'` })} and ${asRead(chain)}
        and (value ->> 'k' is null or ${isSummedUp(chain, stakings)})
      limit ${room(owner, bounds)}
      on conflict do nothing`),
    orm.all<{ id: string; route: string }>(sql`
      insert into jobs (id, owner, route, state, created_at, expires_at, source, destination, requires_proof, fingerprint, data_bytes,
        data_parts, data)
      select ${item} ->> 'j', ${owner}, ${item} ->> 'r', 'queued', ${now}, ${now} + (${item} ->> 'x'), ${item} ->> 'so',
        ${destination.onchain}, ${item} ->> 'p', coalesce(${item} ->> 'f', delegations.fingerprint), ${item} ->> 'b', ${item} ->> 'parts',
        iif(${item} ->> 'parts' = 0, coalesce(${item} ->> 'd', delegations.data), null)
      from json_each(${JSON.stringify(inline)}) as item ${delegation} where ${isOurs}
      on conflict (id) do nothing returning id, route`),
    orm.run(sql`
      insert into parts (job, kind, attempt, seq, bytes)
      select ${item} ->> 'j', 'data', 0, place.value, substr(cast(coalesce(${item} ->> 'd', delegations.data) as blob),
        1 + place.value * ${limits.partBytes}, ${limits.partBytes})
      from json_each(${JSON.stringify(large)}) as item ${delegation} join json_each(${item} -> 'q') as place where ${isOurs}
      on conflict do nothing`),
  ] as const
}

/** Statements, where anything was begun with a stake, that tell others who have summed up what is at stake. They come after those of `beginJobs`. */
export function countStaking({ orm }: Db, { chain, beginnings }: Pick<BeginOptions, 'chain' | 'beginnings'>) {
  const jobs = beginnings.flatMap(({ id, interval, job, stake }) =>
    stake === null ? [] : [[id, interval, job]],
  )
  if (jobs.length === 0) return []
  return [
    orm.run(sql`
      update chains set stakings = stakings + 1 where id = ${chain} and exists (select 1 from json_each(${JSON.stringify(jobs)})
        cross join deliveries on deliveries.chain = ${chain} and subscription = value ->> 0 and interval = value ->> 1 and job = value ->> 2)`),
  ]
}

/** With the bytes of input up to each, itself included, and the other lanes before it: a statement does not see what it stores itself. */
function toItems(beginnings: readonly Beginning[]) {
  const lanes = new Map<string, number>()
  let sum = 0
  return beginnings.map(beginning => {
    const { id, dueAt, nextInterval, seenHash, interval, job, route, input, dataBytes } = beginning
    const text = input === null ? null : inputText(input)
    const bytes = text?.length ?? dataBytes
    sum += bytes
    if (isLane(route) && !lanes.has(route)) lanes.set(route, lanes.size)
    return {
      i: id,
      d0: dueAt,
      n0: nextInterval,
      h: seenHash,
      n: interval,
      j: job,
      r: route,
      p: beginning.requiresProof ? 1 : 0,
      dl: beginning.deadline,
      ...stakeItem(beginning),
      mp: beginning.minPayout === null ? null : String(beginning.minPayout),
      x: beginning.expiryMs,
      so: input === null ? source.offchain : source.onchain,
      f: input === null ? null : inputFingerprint(input),
      b: bytes,
      parts: bytes > limits.inlineBytes ? Math.ceil(bytes / limits.partBytes) : 0,
      sum,
      lanes: lanes.get(route) ?? 0,
      text,
    }
  })
}

/** Whether nobody else has begun anything with a stake since. A chain that nobody has looked at has no row, and the first one comes without. */
function isSummedUp(chain: number, stakings: number | null) {
  const row = sql`select stakings from chains where id = ${chain}`
  if (stakings !== null) return sql`(${row}) = ${stakings}`
  return sql`(not exists (${row}) and not exists (select 1 from deliveries as staked indexed by deliveries_staked
    where staked.chain = ${chain} and staked.stake_token is not null and staked.state in ('computing', 'computed', 'sending')))`
}

function stakeItem({ stake }: Beginning) {
  if (stake === null) return { kt: null, kv: null, k: null }
  return { kt: stake.paymentToken, kv: stake.verifier, k: String(stake.paymentAmount) }
}

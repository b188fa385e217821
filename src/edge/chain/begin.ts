import { type SQL, sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import { limits } from '../../protocol/limits.ts'
import type { Db } from '../db/open.ts'
import { fits, mayWait, type QueueBounds, room } from '../jobs/enqueue.ts'
import { inputFingerprint, inputText } from './input.ts'
import { asRead, type Read } from './move.ts'
import { ownerOfChain } from './owner.ts'

/** A job for one interval of a subscription. `expiryMs`: how long it may wait in the queue. */
export type Beginning = Read & {
  interval: number
  job: string
  route: string
  requiresProof: boolean
  input: Hex
  /** Unix seconds of block time; null: none. */
  deadline: number | null
  expiryMs: number
}

export type BeginOptions = {
  chain: number
  /** Of one statement: a MiB of input at most. */
  beginnings: readonly Beginning[]
  /** The policy that they were admitted under; another one stores nothing. */
  epoch: number
  bounds: QueueBounds
}

/** Text that a job adds to the statement that stores it. */
export function textBytes({ input, route }: Beginning): number {
  return input.length + route.length + 300
}

/**
 * Statements for a batch that store a delivery and its job for each interval that has none, as far as the queue's bounds allow. Whoever
 * else begins the same interval finds the delivery there, or the subscription moved on. Done again, as when its answer was lost on the way,
 * they store nothing. The second one returns the jobs stored.
 */
export function beginJobs({ orm, now }: Db, { chain, beginnings, epoch, bounds }: BeginOptions) {
  const owner = ownerOfChain(chain)
  const items = toItems(beginnings)
  const terms = items.map(({ text: _, ...item }) => item)
  const inline = items.map(({ text, ...item }) => ({ ...item, d: item.parts === 0 ? text : null }))
  const large = items.filter(({ parts }) => parts > 0).map(({ i, n, j, text }) => ({ i, n, j, d: text }))
  const isOurs: SQL = sql`exists (select 1 from deliveries where chain = ${chain} and subscription = value ->> 'i'
    and interval = value ->> 'n' and job = value ->> 'j')`
  return [
    orm.run(sql`
      insert into deliveries (chain, subscription, interval, job, state, deadline, created_at)
      select ${chain}, value ->> 'i', value ->> 'n', value ->> 'j', 'computing', value ->> 'dl', ${now}
      from json_each(${JSON.stringify(terms)})
      where (select epoch from policy) = ${epoch} and ${fits(owner, { bytes: sql`value ->> 'sum'`, bounds })}
        and ${mayWait({ route: sql`value ->> 'r'`, others: sql`value ->> 'chains'` })} and ${asRead(chain)}
      limit ${room(owner, bounds)}
      on conflict do nothing`),
    orm.all<{ id: string; route: string }>(sql`
      insert into jobs (id, owner, route, state, created_at, expires_at, source, destination, requires_proof, fingerprint, data_bytes,
        data_parts, data)
      select value ->> 'j', ${owner}, value ->> 'r', 'queued', ${now}, ${now} + (value ->> 'x'), 0, 0, value ->> 'p', value ->> 'f',
        value ->> 'b', value ->> 'parts', value ->> 'd'
      from json_each(${JSON.stringify(inline)}) where ${isOurs}
      on conflict (id) do nothing returning id, route`),
    // 128 KiB at most: one part.
    orm.run(sql`
      insert into parts (job, kind, attempt, seq, bytes)
      select value ->> 'j', 'data', 0, 0, cast(value ->> 'd' as blob) from json_each(${JSON.stringify(large)}) where ${isOurs}
      on conflict do nothing`),
  ] as const
}

/** With the bytes of input up to each, itself included, and the other chains before it: a statement does not see what it stores itself. */
function toItems(beginnings: readonly Beginning[]) {
  const chains = new Map<string, number>()
  let sum = 0
  return beginnings.map(beginning => {
    const { id, dueAt, nextInterval, seenHash, interval, job, route, input } = beginning
    const text = inputText(input)
    sum += text.length
    if (route.includes(',') && !chains.has(route)) chains.set(route, chains.size)
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
      x: beginning.expiryMs,
      f: inputFingerprint(input),
      b: text.length,
      parts: text.length > limits.inlineBytes ? 1 : 0,
      sum,
      chains: chains.get(route) ?? 0,
      text,
    }
  })
}

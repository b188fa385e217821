import { sql } from 'drizzle-orm'
import { zeroAddress } from 'viem'
import type { Status, Subscription } from './chain.ts'
import type { RouteFinder } from './containers.ts'
import { type Found as Created, findCreated } from './delegated/created.ts'
import { linkSubscription, lookAgainAtOthers } from './delegated/link.ts'
import { isThere, type ReadStatuses } from './reading.ts'
import { dueAgain } from './rewind-subscriptions.ts'
import type { Step } from './step.ts'
import { insertSubscriptions, rowsPerStatement, type Stored } from './store.ts'
import { type Verdict, verdictOn } from './verdict.ts'

/** Of a chain's row: what a write expects, and the first subscription that was not looked at yet. */
export type Cursor = { version: number; nextId: number }

export type SyncOptions = {
  cursor: Cursor
  /** The chain's: the first that it does not have. */
  nextId: number
  readStatuses: ReadStatuses
  routes: RouteFinder
}

/** `cursor`: to go on with; null: somebody else has moved it, and nothing was written. */
export type Synced = {
  cursor: Cursor | null
  /** Of what is active and open, so that it need not be read again; not of all, where inputs are long. */
  statuses: ReadonlyMap<number, Status>
}

/** What one tick looks at; the next one goes on. */
const maxIds = 2_000
const maxPages = 20
/** Characters of inputs that are kept for the schedule: an isolate has 128 MiB. */
const maxInputLength = 8 * 1024 * 1024
/** A subscription that could not be read is tried again by the schedule. */
const unreadable = { reason: 'unreadable', message: 'The subscription could not be read.' }

type Found = { rows: Stored[]; statuses: Map<number, Status>; nextId: number }

/**
 * Picks up new subscriptions: each is stored as active, refused or ended, whatever the others are like, and the cursor moves past them in
 * the same batch. One RPC page for `batchSize` of them. What is known already, where the cursor was put back, is left to the schedule, which
 * tells whether it is the same.
 * @throws RpcUnavailable when no endpoint answers: nothing is written.
 */
export async function sync(step: Step, options: SyncOptions): Promise<Synced> {
  const { cursor, nextId } = options
  const { log, chain, block } = step
  if (nextId <= cursor.nextId) return { cursor, statuses: new Map() }
  log.info('Checked for new subscriptions', {
    chain: chain.config.id,
    block: block.number,
    from: cursor.nextId,
    to: nextId - 1,
  })
  const { epoch, found: all } = await find(step, options)
  if (all.rows.length === 0) return { cursor, statuses: all.statuses }
  const created = await findCreated(
    step,
    all.rows.map(({ subscription }) => subscription),
  )
  const found = withoutLeft(all, created)
  const moved = await write(step, { cursor, found, epoch, created })
  if (!moved) return { cursor: null, statuses: new Map() }
  const linked = new Set(created.links.map(({ id }) => id))
  for (const row of found.rows)
    if (linked.has(row.subscription.id)) tellLinked(step, row.subscription)
    else tell(step, row)
  if (found.nextId === nextId)
    log.info('Finished snapshot sync', { chain: chain.config.id, block: block.number, head: nextId - 1 })
  return { cursor: { version: cursor.version + 1, nextId: found.nextId }, statuses: found.statuses }
}

async function find(
  { policy, chain, block }: Step,
  { cursor, nextId, readStatuses, routes }: SyncOptions,
): Promise<{ epoch: number; found: Found }> {
  const { config } = chain
  const snapshot = await policy.readCurrent()
  const court = { snapshot, config, time: block.time, routes }
  const found: Found = { rows: [], statuses: new Map(), nextId: cursor.nextId }
  const end = Math.min(nextId, cursor.nextId + Math.min(maxIds, maxPages * config.batchSize))
  let inputLength = 0
  while (found.nextId < end) {
    const length = Math.min(config.batchSize, end - found.nextId)
    const ids = Array.from({ length }, (_, index) => found.nextId + index)
    const { statuses, failed, unasked } = await readStatuses(ids)
    const unread = new Set([...failed, ...unasked])
    for (const id of ids) {
      const status = statuses.get(id)
      if (unread.has(id)) found.rows.push(unreadableRow(id, block.time))
      else if (!isThere(status)) return { epoch: snapshot.epoch, found }
      else {
        const verdict = verdictOn(status, court)
        found.rows.push({ subscription: status.subscription, verdict })
        inputLength += status.input?.length ?? 0
        if (verdict.state === 'active' && status.interval > 0 && inputLength <= maxInputLength)
          found.statuses.set(id, status)
      }
      found.nextId = id + 1
    }
  }
  return { epoch: snapshot.epoch, found }
}

/** As far as it is known which of them are delegated ones: the next look goes on. */
function withoutLeft(found: Found, { left }: Created): Found {
  const end = found.rows.findIndex(({ subscription }) => left.has(subscription.owner))
  if (end === -1) return found
  const rows = found.rows.slice(0, end)
  const nextId = found.nextId - (found.rows.length - end)
  return { rows, statuses: new Map([...found.statuses].filter(([id]) => id < nextId)), nextId }
}

function unreadableRow(id: number, time: number): Stored {
  const verdict: Verdict = {
    ...unreadable,
    state: 'active',
    dueAt: time,
    nextInterval: 1,
    params: null,
    route: null,
  }
  return { subscription: { ...blank, id }, verdict }
}

/** Stands in for what could not be read: nobody owns it. */
const blank: Omit<Subscription, 'id'> = {
  owner: zeroAddress,
  activeAt: 0,
  period: 0,
  frequency: 0,
  redundancy: 0,
  containerId: '0x',
  lazy: false,
  verifier: zeroAddress,
  paymentAmount: 0n,
  paymentToken: zeroAddress,
  wallet: zeroAddress,
  expiresAt: 0,
  maxFee: 0,
  prepaid: false,
  committed: false,
}

/** @returns false when the cursor was moved meanwhile: nothing is written then. */
async function write(
  step: Step,
  { cursor, found, epoch, created }: { cursor: Cursor; found: Found; epoch: number; created: Created },
): Promise<boolean> {
  const { db, chain, block } = step
  const { orm, now } = db
  const { id } = chain.config
  const guard = sql`exists (select 1 from chains where id = ${id} and version = ${cursor.version})`
  const hasRefused = found.rows.some(({ verdict }) => verdict.state === 'refused')
  const chunks = Array.from({ length: Math.ceil(found.rows.length / rowsPerStatement) }, (_, index) =>
    found.rows.slice(index * rowsPerStatement, (index + 1) * rowsPerStatement),
  )
  const [held] = await orm.batch([
    orm.all(sql`select ${now} as now from chains where id = ${id} and version = ${cursor.version}`),
    orm.run(sql`
      insert into chain_blocks (chain, number, hash) select ${id}, ${block.number}, ${block.hash} where ${guard}
      on conflict (chain, number) do nothing`),
    lookAgainAtOthers(db, { chain: id, waiting: created.waiting, guard }),
    // Before the others: what is known by its id is not new.
    ...created.links.flatMap(link => [...linkSubscription(db, { chain: id, link, block, guard })]),
    orm.run(sql`
      update subscriptions set state = 'active', due_at = ${dueAgain.undecided} where ${guard}
        and (chain, id) in (select value ->> 0, value ->> 1 from json_each(${JSON.stringify(created.doubtful.map(place => [id, place]))}))`),
    ...chunks.map(rows => insertSubscriptions(db, { chain: id, rows, epoch, block, guard })),
    // What was refused by an old policy, after all others were judged by a new one, is to be judged again.
    orm.run(sql`
      update chains set version = version + 1, next_id = ${found.nextId}, head_number = ${block.number}, head_hash = ${block.hash},
        judged_epoch = min(judged_epoch, iif(${hasRefused ? 1 : 0}, ${epoch}, judged_epoch))
      where id = ${id} and version = ${cursor.version}`),
  ])
  return held.length === 1
}

/** What is new on the chain is known here. */
function tellLinked({ log, chain }: Step, { id }: Subscription): void {
  log.info('Delegated subscription created', { chain: chain.config.id, subscription: id })
}

function tell({ log, chain }: Step, { subscription, verdict }: Stored): void {
  const { state, route, reason, message, params } = verdict
  const fields = { chain: chain.config.id, subscription: subscription.id }
  if (state === 'active' && reason === null) log.info('Tracked new subscription!', { ...fields, route })
  else if (state !== 'active')
    log.info('Ignored subscription creation', { ...fields, code: reason, error: message, params })
}

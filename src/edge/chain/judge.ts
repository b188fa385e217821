import { sql } from 'drizzle-orm'
import type { RouteFinder } from './containers.ts'
import { intervalAt } from './interval.ts'
import { noteBlock } from './journal.ts'
import type { Step } from './step.ts'
import { type TrackedRow, trackedColumns, trackedJoin, trackedOf } from './tracked.ts'
import { type Verdict, verdictOn } from './verdict.ts'

/** `judgedEpoch`: of the chain's row: the policy that all refused ones were last judged under. */
export type JudgeOptions = { judgedEpoch: number; routes: RouteFinder }

/** `admitted`: subscriptions that are due now. `left`: more are to be judged. */
export type Judged = { admitted: number; left: boolean }

/** What one tick judges. */
const maxJudged = 500

/** Judges refused subscriptions again when the policy is another one than they were refused by. Without news, no SQL but the policy's own, of the moment. */
export async function judge(step: Step, { judgedEpoch, routes }: JudgeOptions): Promise<Judged> {
  const { db, policy, chain, block, log } = step
  const { orm, now } = db
  const { config } = chain
  const snapshot = await policy.readCurrent()
  const { epoch } = snapshot
  if (epoch <= judgedEpoch) return { admitted: 0, left: false }
  const rows = await orm.all<TrackedRow & { epoch: number }>(sql`
    select ${trackedColumns}, epoch from subscriptions indexed by subscriptions_refused ${trackedJoin}
    where subscriptions.chain = ${config.id} and state = 'refused' and epoch < ${epoch} order by epoch, subscriptions.id limit ${maxJudged}`)
  const court = { snapshot, config, time: block.time, routes }
  const verdicts = rows.map(row => {
    const { subscription, signed } = trackedOf(row)
    const interval = intervalAt(subscription, block.time)
    const isDelegated = signed !== null
    return { row, verdict: verdictOn({ subscription, interval, count: 0 }, { ...court, isDelegated }) }
  })
  const left = rows.length === maxJudged
  const hasEnded = verdicts.some(({ verdict }) => verdict.state === 'ended')
  const [moved] = await orm.batch([
    orm.all<{ id: number; state: string }>(sql`
      update subscriptions set state = item.value ->> 's', due_at = item.value ->> 'd', next_interval = item.value ->> 'n', tries = 0,
        kept_since = case when item.value ->> 's' = 'ended' then ${now} when item.value ->> 's' = 'refused' then kept_since end,
        decided_block = iif(item.value ->> 's' = 'ended', ${block.number}, null), epoch = ${epoch}, reason = item.value ->> 'r', message = item.value ->> 'm', params = item.value ->> 'p',
        route = item.value ->> 'ro'
      from json_each(${JSON.stringify(verdicts.map(verdict => toItem(config.id, verdict)))}) as item
      where subscriptions.chain = item.value ->> 'c' and subscriptions.id = item.value ->> 'i' and +subscriptions.state = 'refused'
        and subscriptions.epoch = item.value ->> 'e0' and subscriptions.seen_hash = item.value ->> 'h'
      returning subscriptions.id, subscriptions.state`),
    ...(hasEnded ? [noteBlock(db, { chain: config.id, block })] : []),
    orm.run(sql`
      update chains set judged_epoch = ${epoch}
      where id = ${config.id} and judged_epoch < ${epoch} and not exists (
        select 1 from subscriptions indexed by subscriptions_refused
        where chain = ${config.id} and state = 'refused' and epoch < ${epoch})`),
  ])
  const admitted = moved.filter(({ state }) => state === 'active')
  for (const { id } of admitted)
    log.info('Tracked new subscription!', { chain: config.id, subscription: id, epoch })
  return { admitted: admitted.length, left }
}

/** The chain comes with each item, as in `moveOn`. */
function toItem(chain: number, { row, verdict }: { row: TrackedRow & { epoch: number }; verdict: Verdict }) {
  return {
    c: chain,
    i: row.id,
    e0: row.epoch,
    h: row.seen_hash,
    s: verdict.state,
    d: verdict.dueAt,
    // What was begun before it was refused has its delivery.
    n: Math.max(row.next_interval, verdict.nextInterval),
    r: verdict.reason,
    m: verdict.message,
    p: verdict.params && JSON.stringify(verdict.params),
    ro: verdict.route,
  }
}

import { sql } from 'drizzle-orm'
import { addToRing, type Ring } from '../bell/bell.ts'
import { chunks } from '../jobs/chunks.ts'
import { describe } from '../log.ts'
import { beginJobs, countStaking, textBytes } from './begin.ts'
import { linkSubscription, lookAgain } from './delegated/link.ts'
import { unlinkSubscriptions } from './delegated/unlink.ts'
import { noteBlock } from './journal.ts'
import { laneless } from './laneless.ts'
import { asRead, moveOn, readItem } from './move.ts'
import type { Plan, Planned } from './plan.ts'
import type { Step } from './step.ts'
import { replaceSubscriptions } from './store.ts'
import { type GivenUp, tellCancelled, vanishDeliveries } from './vanish.ts'

/** Writes what a plan says of subscriptions for which nothing is begun. @returns how many are not due any more as they were. */
export async function settle(step: Step, { plan, epoch }: { plan: Plan; epoch: number }): Promise<number> {
  const moved = await writeMoves(step, plan.moves)
  const gone = plan.vanished.length + plan.replaced.length === 0 ? 0 : await drop(step, { plan, epoch })
  const linked = await link(step, plan)
  const unlinked = await unlink(step, plan)
  await lookAgainAt(step, plan.doubtful)
  return moved + gone + linked + unlinked
}

/** @returns how many are not due any more as they were. */
async function writeMoves(step: Step, planned: readonly Planned[]): Promise<number> {
  if (planned.length === 0) return 0
  const moves = await write(step, planned)
  tellMoved(planned, moves)
  return moves.length
}

/** They are due as they were, and looked at as what the chain has. */
async function link({ db, chain, block, bells, log }: Step, { linked }: Plan): Promise<number> {
  for (const link of linked) {
    const [cancelled] = await db.orm.batch([
      ...linkSubscription(db, { chain: chain.config.id, link, block, guard: sql`true` }),
    ])
    log.info('Delegated subscription created', { chain: chain.config.id, subscription: link.id })
    await tellCancelled(bells, cancelled, error => log.warn('Ring lost', { error: describe(error) }))
  }
  return linked.length
}

async function lookAgainAt({ db, chain }: Step, doubtful: readonly number[]): Promise<void> {
  const [first, ...others] = doubtful.map(id =>
    lookAgain(db, { chain: chain.config.id, place: -id, guard: sql`true` }),
  )
  if (first) await db.orm.batch([first, ...others])
}

/** They are due at once, as what the chain does not have. */
async function unlink({ db, chain, bells, log }: Step, { unlinked }: Plan): Promise<number> {
  const { id } = chain.config
  if (unlinked.length === 0) return 0
  const items = JSON.stringify(unlinked.map(each => [each.linkedBlock, each.id]))
  const where = sql`(linked_block, subscription) in (select value ->> 0, value ->> 1 from json_each(${items}))`
  const [cancelled] = await db.orm.batch([...unlinkSubscriptions(db, { chain: id, where })])
  for (const each of unlinked) log.warn('Delegated subscription undone', { chain: id, subscription: each.id })
  await tellCancelled(bells, cancelled, error => log.warn('Ring lost', { error: describe(error) }))
  return unlinked.length
}

/** With the blocks by which it was decided: a reorganisation that undoes one of them is looked for by these. */
async function write({ db, chain, block, latest }: Step, planned: readonly Planned[]) {
  const { id } = chain.config
  const isTried = planned.some(({ move }) => move.decided !== null)
  const [moves] = await db.orm.batch([
    moveOn(db, { chain: id, block: block.number, moves: planned.map(({ move }) => move) }),
    noteBlock(db, { chain: id, block }),
    ...(isTried ? [noteBlock(db, { chain: id, block: latest })] : []),
  ])
  return moves
}

async function drop(step: Step, { plan, epoch }: { plan: Plan; epoch: number }): Promise<number> {
  const { db, chain, block, bells, log } = step
  const { id } = chain.config
  const { vanished, replaced } = plan
  const items = [...vanished.map(({ move }) => move), ...replaced.map(({ read }) => read)].map(readItem)
  // Under another policy, the verdict on what is new may be another one.
  const ids = sql`(select value ->> 'i' from json_each(${JSON.stringify(items)})
    where ${asRead(id)} and (select epoch from policy) = ${epoch})`
  const [cancelled, , , moves, stored] = await db.orm.batch([
    ...vanishDeliveries(db, { chain: id, ids, ...whyOf(vanished) }),
    moveOn(db, { chain: id, block: block.number, moves: vanished.map(({ move }) => ({ ...move, epoch })) }),
    replaceSubscriptions(db, {
      chain: id,
      rows: replaced,
      epoch,
      block,
      guard: sql`value ->> 'i' in ${ids}`,
    }),
  ])
  tellMoved(vanished, moves)
  await tellCancelled(bells, cancelled, error => log.warn('Ring lost', { error: describe(error) }))
  return moves.length + stored.rowsAffected
}

/** Answers are given up for what their subscriptions are, where these were never on the chain; else they are gone. */
function whyOf(vanished: readonly Planned[]): { why?: GivenUp } {
  const others = vanished.filter(({ move }) => move.reason !== 'vanished')
  if (others.length === 0) return {}
  const items = JSON.stringify(
    others.map(({ move: { id, reason, message } }) => ({ i: id, r: reason, m: message })),
  )
  const told = (member: 'r' | 'm', otherwise: string) =>
    sql`coalesce((select value ->> ${member} from json_each(${items}) where value ->> 'i' = deliveries.subscription), ${otherwise})`
  return {
    why: { reason: told('r', 'vanished'), message: told('m', 'The subscription is gone from the chain.') },
  }
}

/**
 * Writes what is begun, and wakes runners for it.
 * @returns the jobs queued, and how many subscriptions are moved on: fewer than asked for when the queue is full, the policy has moved on, or
 * somebody else was first. What only waits for a lane is moved on as well.
 */
export async function begin(
  step: Step,
  { plan, epoch }: { plan: Plan; epoch: number },
): Promise<{ jobs: number; moved: number }> {
  const { db, chain, block, jobs } = step
  const { id } = chain.config
  const done = { jobs: 0, moved: 0 }
  let { stakings } = plan
  for (const chunk of chunks(plan.begun, ({ beginning }) => textBytes(beginning))) {
    const beginnings = chunk.map(({ beginning }) => beginning)
    const [, queued, , moves] = await db.orm.batch([
      ...beginJobs(db, { chain: id, beginnings, epoch, bounds: jobs.bounds, stakings }),
      moveOn(db, { chain: id, block: block.number, moves: chunk.map(({ move }) => move) }),
      ...countStaking(db, { chain: id, beginnings }),
    ])
    const ours = new Set(queued.map(job => job.id))
    for (const { beginning, tell } of chunk) if (ours.has(beginning.job)) tell()
    await ringFor(step, queued)
    if (stakings !== null && beginnings.some(({ stake, job }) => stake !== null && ours.has(job)))
      stakings += 1
    done.jobs += queued.length
    done.moved += moves.length
    if (moves.length === chunk.length) continue
    const ids = new Set(moves.map(({ id }) => id))
    const kept = chunk.filter(({ move }) => !ids.has(move.id))
    done.moved += await writeMoves(step, await laneless(step, kept))
    break
  }
  return done
}

function tellMoved(planned: readonly Planned[], moved: readonly { id: number }[]): void {
  const ids = new Set(moved.map(({ id }) => id))
  for (const { move, tell } of planned) if (ids.has(move.id)) tell()
}

/** Wakes runners for jobs. A lost ring costs latency only. */
export async function ringFor(
  { bells, log }: Pick<Step, 'bells' | 'log'>,
  jobs: readonly { route: string }[],
): Promise<void> {
  if (jobs.length === 0) return
  const routes: Ring = {}
  for (const { route } of jobs) addToRing(routes, route, 1)
  await bells('claims')
    .ring(routes)
    .catch(error => log.warn('Ring lost', { error: describe(error) }))
}

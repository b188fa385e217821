import { sql } from 'drizzle-orm'
import { uuidv7 } from 'uuidv7'
import { beginJobs, countStaking } from '../begin.ts'
import { intervalAt } from '../interval.ts'
import { noteBlock } from '../journal.ts'
import { moveOn } from '../move.ts'
import type { Plan } from '../plan.ts'
import { ringFor } from '../settle.ts'
import { insertSubscriptions } from '../store.ts'
import { verdictOn } from '../verdict.ts'
import type { Asked } from './asked.ts'
import type { Door } from './door.ts'
import type { Judged } from './judge.ts'
import { linkSubscription } from './link.ts'
import { fitsIn } from './room.ts'
import { forgetDelegated, insertDelegated, isUnmoved, type Known, seesRoom } from './store.ts'
import { unseen } from './unseen.ts'

/** `known`: what it takes the place of. `plan`: what is begun at once. `nextId`: of the chain's row, as it was before the chain was asked. */
export type Taking = {
  asked: Asked
  known: Known | null
  judged: Judged
  plan: Plan
  nextId: number | null
}

export type Taken = { place: number; id: string }

/**
 * Stores a request with the job that it begins, in one transaction: who sends the same again is told of both. What is stored is there whatever
 * becomes of whoever has sent it.
 * @returns `full`: its owner, or the chain, has too many that wait. Null: somebody else was first.
 */
export async function takeIn(
  door: Door,
  { asked, known, judged, plan, nextId }: Taking,
): Promise<Taken | 'full' | null> {
  const { db, chain, routes, jobs } = door
  const { bounds } = jobs
  const { subscription, signed, digest, data, fingerprint } = asked
  const { snapshot, block, createdId, dataSigned } = judged
  const { id: chainId } = chain.config
  const place = -subscription.id
  const { owner } = subscription
  const id = uuidv7()
  const row = {
    place,
    id,
    chain: chainId,
    owner,
    digest,
    fingerprint,
    dataSigned,
    ...signed,
    subscription: subscription.id,
    data,
  }
  const court = { snapshot, config: chain.config, time: block.time, routes, isDelegated: true }
  const verdict = verdictOn({ subscription, interval: intervalAt(subscription, block.time), count: 0 }, court)
  const guard = sql`exists (select 1 from delegations where place = ${place} and subscription = ${subscription.id})`
  const former = known?.place ?? 0
  const fits = fitsIn({ chain: chainId, owner, dataBytes: signed.dataBytes, bounds, former })
  const isCurrent = sql`(${isUnmoved(chainId, nextId)} and ${fits})`
  const { epoch } = snapshot
  const planned = [...plan.moves, ...plan.begun]
  const beginnings = plan.begun.map(({ beginning }) => beginning)
  const [seen, , , , inserted, , , queued, , moved] = await db.orm.batch([
    seesRoom(db, { ...row, former, fits }),
    ...forgetDelegated(db, { chain: chainId, place: former, guard: isCurrent }),
    insertDelegated(db, row, isCurrent),
    insertSubscriptions(db, {
      chain: chainId,
      rows: [{ subscription, verdict }],
      epoch,
      block: { ...block, ...unseen },
      guard,
    }),
    ...beginJobs(db, { chain: chainId, beginnings, epoch, bounds, stakings: plan.stakings }),
    moveOn(db, { chain: chainId, block: block.number, moves: planned.map(({ move }) => move) }),
    ...(plan.moves.length === 0 ? [] : [noteBlock(db, { chain: chainId, block })]),
    ...(createdId === null
      ? []
      : linkSubscription(db, { chain: chainId, link: { place, id: createdId }, block, guard: sql`true` })),
    ...countStaking(db, { chain: chainId, beginnings }),
  ])
  if (inserted.length === 0) return seen[0]?.full === 1 ? 'full' : null
  if (moved.length > 0) for (const { tell } of planned) tell()
  await ringFor(door, queued)
  return { place, id }
}

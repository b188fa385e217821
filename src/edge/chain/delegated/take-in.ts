import { sql } from 'drizzle-orm'
import { uuidv7 } from 'uuidv7'
import { intervalAt } from '../interval.ts'
import { insertSubscriptions } from '../store.ts'
import { verdictOn } from '../verdict.ts'
import type { Asked } from './asked.ts'
import type { Door } from './door.ts'
import type { Judged } from './judge.ts'
import { linkSubscription } from './link.ts'
import { fitsIn } from './room.ts'
import { forgetDelegated, insertDelegated, isUnmoved, type Known, seesRoom } from './store.ts'
import { unseen } from './unseen.ts'

/** `known`: what it takes the place of. `nextId`: of the chain's row, as it was before the chain was asked. */
export type Taking = { asked: Asked; known: Known | null; judged: Judged; nextId: number | null }

export type Taken = { place: number; id: string }

/**
 * Stores a request: what is stored is there whatever becomes of whoever has sent it.
 * @returns `full`: its owner, or the chain, has too many that wait. Null: somebody else was first.
 */
export async function takeIn(
  { db, chain, routes, jobs: { bounds } }: Door,
  { asked, known, judged, nextId }: Taking,
): Promise<Taken | 'full' | null> {
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
  const [seen, , , , inserted] = await db.orm.batch([
    seesRoom(db, { ...row, former, fits }),
    ...forgetDelegated(db, { chain: chainId, place: former, guard: isCurrent }),
    insertDelegated(db, row, isCurrent),
    insertSubscriptions(db, {
      chain: chainId,
      rows: [{ subscription, verdict }],
      epoch: snapshot.epoch,
      block: { ...block, ...unseen },
      guard,
    }),
    ...(createdId === null
      ? []
      : linkSubscription(db, { chain: chainId, link: { place, id: createdId }, block, guard: sql`true` })),
  ])
  if (inserted.length === 1) return { place, id }
  return seen[0]?.full === 1 ? 'full' : null
}

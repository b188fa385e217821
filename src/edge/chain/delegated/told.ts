import { intervalAt } from '../interval.ts'
import type { Asked } from './asked.ts'
import type { Door } from './door.ts'
import { selectNewestJob } from './store.ts'

/** `subscriptionId`: the chain's; null: it has none yet. `interval`: the one that is open; 0: none. */
export type TakenOn = {
  id: string
  chainId: number
  subscriptionId: number | null
  job: string | null
  interval: number
  replayed: boolean
}

/** What a client is told of what was taken on. */
export async function told(
  { db, chain, now }: Door,
  { place, id }: { place: number; id: string },
  { asked, replayed }: { asked: Asked; replayed: boolean },
): Promise<TakenOn> {
  const { id: chainId } = chain.config
  const newest = await selectNewestJob(db, { chain: chainId, place })
  return {
    id,
    chainId,
    subscriptionId: newest && newest.id > 0 ? newest.id : null,
    job: newest?.job ?? null,
    interval: newest?.interval ?? intervalAt(asked.subscription, Math.floor(now() / 1000)),
    replayed,
  }
}

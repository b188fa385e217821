import { intervalAt, isOver } from '../interval.ts'
import type { Asked } from './asked.ts'
import type { Door } from './door.ts'
import { selectOpen } from './store.ts'

/** `subscriptionId`: the chain's; null: it has none yet. `interval`: the one that is open; 0: none. `job`: for that one. */
export type TakenOn = {
  id: string
  chainId: number
  subscriptionId: number | null
  job: string | null
  interval: number
  replayed: boolean
}

/** What a client is told of what was taken on. `time`: unix seconds of block time, as far as that is known. */
export async function told(
  { db, chain }: Pick<Door, 'db' | 'chain'>,
  { place, id }: { place: number; id: string },
  { asked: { subscription }, time, replayed }: { asked: Asked; time: number; replayed: boolean },
): Promise<TakenOn> {
  const { id: chainId } = chain.config
  const interval = isOver(subscription, time) ? null : intervalAt(subscription, time)
  const open = await selectOpen(db, { chain: chainId, place, interval })
  return {
    id,
    chainId,
    subscriptionId: open && open.id > 0 ? open.id : null,
    job: open?.job ?? null,
    interval: open?.interval ?? 0,
    replayed,
  }
}

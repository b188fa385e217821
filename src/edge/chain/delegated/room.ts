import { type SQL, sql } from 'drizzle-orm'
import type { Address } from 'viem'
import type { QueueBounds } from '../../jobs/enqueue.ts'

/** Of one owner, and of one chain, what was taken on, is not created, and may be. */
const maxOfOwner = 1_000
const maxOfChain = 50_000

export type Wanted = {
  chain: number
  owner: Address
  dataBytes: number
  /** Of what may be begun, the data may be as much as that of jobs. */
  bounds: Pick<QueueBounds, 'maxBytesPerOwner' | 'maxBytes'>
  /** Place of the one that goes for it; 0: none does. */
  former: number
}

/** Whether one more may wait, in the transaction that asks. What goes for it leaves its room, whether it has gone yet or not. */
export function fitsIn({ chain, owner, dataBytes, bounds, former }: Wanted): SQL {
  const left = (column: 'waits' | 'bytes') =>
    sql`coalesce((select ${sql.raw(column)} from delegation_shares where place = ${former}), 0)`
  const kept = (column: 'waiting' | 'bytes', whose: string) =>
    sql`coalesce((select ${sql.raw(column)} from delegation_counts where chain = ${chain} and owner = ${whose}), 0)`
  return sql`(${kept('waiting', owner)} - ${left('waits')} < ${maxOfOwner} and ${kept('waiting', '*')} - ${left('waits')} < ${maxOfChain}
    and ${kept('bytes', owner)} - ${left('bytes')} + ${dataBytes} <= ${bounds.maxBytesPerOwner}
    and ${kept('bytes', '*')} - ${left('bytes')} + ${dataBytes} <= ${bounds.maxBytes})`
}

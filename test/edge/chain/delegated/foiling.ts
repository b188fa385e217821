import { sql } from 'drizzle-orm'
import { type Hex, toHex } from 'viem'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import type { Asking, Delegating, Sending } from './delegating.ts'

/** `other`: what is created with the nonce; `mine`: what this node is asked for. `options`: how it is asked. */
export type Foiling = { node: ChainTick; other: Asking; mine?: Asking; options?: Sending }

/**
 * Our answer was simulated and is on its way; then another is created with its nonce, and ours is mined after that. It is seen to be mined, and
 * nothing of what comes of that.
 * @returns what was signed for it.
 */
export async function foil(
  world: Delegating,
  { node, other, mine = {}, options }: Foiling,
): Promise<{ raw: Hex }> {
  await world.call('give', toHex('input'))
  await world.request('evm_setAutomine', false)
  await world.take({ nonce: 5, ...mine }, options)
  await world.compute()
  await world.look(node)
  const [sent] = await world.queue.db.orm.all<{ hash: Hex; raw: Hex }>(sql`select hash, raw from raws`)
  if (!sent) throw new Error('Nothing was sent')
  await world.chain.anvil.dropTransaction({ hash: sent.hash })
  await world.request('evm_setAutomine', true)
  await world.create(await world.sign({ nonce: 5, ...other }))
  await world.request('eth_sendRawTransaction', sent.raw)
  return { raw: sent.raw }
}

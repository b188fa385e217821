import { within } from '../within.ts'
import { refusalOf } from './refusal.ts'
import type { RpcAnswer } from './rpc.ts'

/** Whoever answers with the first one is heard, too: what is silent for longer ends by itself. */
const graceMs = 250

/** Whether an endpoint has a transaction, or had it. */
export function isTaken({ error }: RpcAnswer): boolean {
  if (error === undefined) return true
  const refusal = error.isUnclear ? null : refusalOf(error)
  return refusal === 'known' || refusal === 'nonce_used'
}

/**
 * Waits for endpoints that are told of transactions until one has taken all of them, and a moment more; if none does, for all. What comes
 * later is not heard. `telling`: bounded in time; null: it failed.
 * @returns what has come, in the order of the endpoints.
 */
export async function untilTaken(telling: readonly Promise<RpcAnswer[] | null>[]): Promise<RpcAnswer[][]> {
  const told: (RpcAnswer[] | null)[] = telling.map(() => null)
  const noted = telling.map(async (one, index) => {
    told[index] = await one
  })
  // Whoever rejects after this has ended rejects this one, for which somebody waits.
  const all = Promise.all(noted)
  const taken = new Promise<void>(resolve => {
    for (const one of telling)
      one.then(
        answers => answers?.every(isTaken) && resolve(),
        () => undefined,
      )
  })
  await Promise.race([all, taken.then(() => within(all, graceMs))])
  return told.filter(answers => answers !== null)
}

import type { DelegatedRequest } from '../../../protocol/delegated.ts'
import type { Refusal } from '../../../protocol/error.ts'
import { type Asked, toAsked } from './asked.ts'
import type { Door } from './door.ts'
import { judge } from './judge.ts'
import { planNow } from './plan-now.ts'
import { standingOf } from './standing.ts'
import { type Known, selectDelegated, selectLooked } from './store.ts'
import { takeIn } from './take-in.ts'
import { type TakenOn, told } from './told.ts'

/** Others that take the same nonce win a race each, and so does a look at the chain. */
const maxRaces = 5

/**
 * Takes on a subscription that was signed for, or says why not: verified before it is answered, and stored with its data and, if it is
 * open, with the job that it begins. The same again is answered the same. `data`: its JSON text, byte for byte.
 * @throws RpcUnavailable when no endpoint answers.
 */
export async function accept(
  door: Door,
  sent: { request: DelegatedRequest; data: string },
): Promise<TakenOn | { refusal: Refusal }> {
  const asked = toAsked(door, sent)
  const { owner } = asked.subscription
  const { nonce } = asked.signed
  for (let race = 0; race < maxRaces; race += 1) {
    const known = await selectDelegated(door.db, { chain: door.chain.config.id, owner, nonce })
    const standing = known === null ? 'new' : standingOf(known, asked)
    if (known !== null && standing === 'same')
      return await told(door, known, { asked, time: Math.floor(door.now() / 1000), replayed: true })
    if (typeof standing === 'object') return { refusal: standing }
    const taken = await takeOn(door, { asked, known })
    if (taken !== null) return taken
  }
  return { refusal: { code: 'chain_unavailable', error: 'The chain went on meanwhile, again and again' } }
}

/** @returns null when somebody else has taken the nonce meanwhile, or a look has seen what this one has not. */
async function takeOn(
  door: Door,
  { asked, known }: { asked: Asked; known: Known | null },
): Promise<TakenOn | { refusal: Refusal } | null> {
  const { nextId, head } = await selectLooked(door.db, door.chain.config.id)
  const judged = await judge(door, asked, head)
  if ('refusal' in judged) return judged
  const plan = await planNow(door, { asked, judged })
  const taken = await takeIn(door, { asked, known, judged, plan, nextId })
  if (taken === 'full') return { refusal: { code: 'queue_full', error: 'Too many subscriptions wait' } }
  return taken && (await told(door, taken, { asked, time: judged.block.time, replayed: false }))
}

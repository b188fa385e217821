import { toWord } from '../call.ts'
import type { Status } from '../chain.ts'
import { beginOf, endOf, intervalAt } from '../interval.ts'
import { anchorCall } from '../next-id.ts'
import type { Due } from '../plan.ts'
import { readWallets } from '../read-wallets.ts'
import { isRevert, type Revert, revertOf } from '../reverts.ts'
import { isUnasked, type RpcAnswer } from '../rpc.ts'
import { sendApart } from '../send-apart.ts'
import type { Step } from '../step.ts'
import { createdIdCall, creationCall } from './calls.ts'
import { isCreatedAs } from './created-as.ts'
import { isUncreated, type Signed } from './signed.ts'
import { storedCall, toStored } from './stored.ts'

/**
 * What has become of a subscription that was signed for, and that this node has not seen on the chain. `created`: it is there, by another
 * node. `foiled`: its nonce has created another. `there`: as good as there. `refused`: nothing can be created by what was signed, or not now. `unreadable`: the chain does not say.
 * `unasked`: there was no time to ask it.
 */
export type Looked =
  | { kind: 'created'; id: number }
  | { kind: 'foiled'; id: number }
  | { kind: 'there'; status: Status }
  | { kind: 'refused'; revert: Revert }
  | { kind: 'unreadable' }
  | { kind: 'unasked' }

type Uncreated = Due & { signed: Signed }

/**
 * Of those with an id below 0: in one request, one more for those that are created, and two for those that pay.
 * @throws RpcUnavailable when no endpoint answers.
 */
export async function lookAtUncreated(
  step: Step,
  rows: readonly Due[],
): Promise<ReadonlyMap<number, Looked>> {
  const { chain, contracts, block, latest } = step
  const asked = rows.flatMap(row => {
    const { subscription, signed } = row
    return signed !== null && isUncreated(subscription) ? [{ ...row, signed }] : []
  })
  if (asked.length === 0) return new Map()
  const answers = await sendApart(
    chain.rpc,
    asked.flatMap(({ subscription, signed }) => [
      createdIdCall({ owner: subscription.owner, nonce: signed.nonce }, { contracts, at: block.number }),
      // It is created after the newest block.
      creationCall({ subscription, signed }, { contracts, at: latest.number, chain }),
    ]),
    { anchor: anchorCall(contracts, { at: latest.number, ids: [] }) },
  )
  const looked = new Map(
    asked.map((row, index) => [
      row.subscription.id,
      lookedAt(step, row, { created: answers[2 * index], creation: answers[2 * index + 1] }),
    ]),
  )
  const there = [...looked.values()].flatMap(each =>
    each.kind === 'there' ? [each.status.subscription] : [],
  )
  const { wallets, unasked } = await readWallets(step, there)
  const compared = await compare(step, { asked, looked })
  return new Map(
    [...compared].map(([id, each]): [number, Looked] => {
      if (unasked.has(id)) return [id, { kind: 'unasked' }]
      if (each.kind !== 'there') return [id, each]
      return [id, { kind: 'there', status: { ...each.status, wallet: wallets.get(id) ?? null } }]
    }),
  )
}

/** A nonce creates whatever comes first that is signed with it. */
async function compare(
  { chain, contracts, block }: Step,
  { asked, looked }: { asked: readonly Uncreated[]; looked: ReadonlyMap<number, Looked> },
): Promise<ReadonlyMap<number, Looked>> {
  const created = asked.flatMap(({ subscription }) => {
    const each = looked.get(subscription.id)
    return each?.kind === 'created' ? [{ subscription, id: each.id }] : []
  })
  if (created.length === 0) return looked
  const answers = await chain.rpc.send(
    created.map(({ id }) => storedCall(id, { contracts, at: block.number })),
  )
  const compared = created.map(({ subscription, id }, index): [number, Looked] => {
    const told = toStored(id, answers[index])
    if (told === null) return [subscription.id, { kind: 'unreadable' }]
    return [subscription.id, { kind: isCreatedAs(subscription, told) ? 'created' : 'foiled', id }]
  })
  return new Map([...looked, ...compared])
}

function lookedAt(
  { block, latest }: Step,
  { subscription }: Uncreated,
  { created, creation }: { created: RpcAnswer | undefined; creation: RpcAnswer | undefined },
): Looked {
  const id = toWord(created)
  if (isUnasked(created) || isUnasked(creation)) return { kind: 'unasked' }
  if (id === null) return { kind: 'unreadable' }
  if (id > 0n) return { kind: 'created', id: Number(id) }
  const interval = intervalAt(subscription, block.time)
  if (creation?.error) {
    if (!isRevert(creation.error)) return { kind: 'unreadable' }
    const standing = {
      begin: beginOf(subscription, Math.max(1, interval)),
      end: endOf(subscription, Math.max(1, interval)),
      time: latest.time,
    }
    return { kind: 'refused', revert: revertOf(creation.error, standing) }
  }
  if (toWord(creation) === null) return { kind: 'unreadable' }
  const status = { subscription, interval, count: 0, responded: false, wallet: null, input: null }
  return { kind: 'there', status }
}

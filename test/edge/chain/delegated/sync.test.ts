import { afterEach, beforeEach, expect, test } from 'vitest'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { toDelegation } from '../../../../src/protocol/delegation.ts'
import { transact } from '../../../support/chain.ts'
import { type Delegating, startDelegating } from './delegating.ts'

let world: Delegating
beforeEach(async () => {
  world = await startDelegating()
}, 60_000)
afterEach(async () => await world?.close())

test('behavior: what another has created is told as what it is, and nothing as ignored', async () => {
  const { chain } = world
  const request = await world.sign()
  await world.send(request)
  const { nonce, expiry, sub } = toDelegation(request.subscription, request.signature)
  const { v, r, s } = request.signature
  await transact(
    chain,
    { address: chain.coordinator, abi: eip712CoordinatorAbi },
    { functionName: 'createSubscriptionDelegatee', args: [nonce, expiry, sub, v, r, s] },
  )
  const node = world.ticker()
  await world.look(node)
  expect(await world.ids()).toEqual([1])
  const told = world.lines.filter(({ event }) =>
    ['Delegated subscription created', 'Tracked new subscription!', 'Ignored subscription creation'].includes(
      event,
    ),
  )
  expect(told).toEqual([
    { event: 'Delegated subscription created', fields: { chain: chain.id, subscription: 1 } },
  ])
})

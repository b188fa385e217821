import { describe, expect, test } from 'vitest'
import type { Info } from '../../src/protocol/node.ts'
import { type Fault, someFaults, usualFaults } from '../support/rpc-proxy.ts'
import { answered, answeredThrough, askAll, runsOf, times } from './asked.ts'
import { type ChainSystem, chainSystemOf } from './asker.ts'
import { until } from './until.ts'

const options = { concurrent: true, timeout: 120_000 }

const variants: { name: string; firstDeployment: boolean; fault?: () => Fault | null }[] = [
  { name: 'our deployment', firstDeployment: false },
  { name: 'the first deployment', firstDeployment: true },
  {
    name: 'our deployment, a fifth of all requests fail',
    firstDeployment: false,
    fault: someFaults({ share: 0.2, kinds: usualFaults, seed: 1 }),
  },
  {
    name: 'the first deployment, a fifth of all requests fail',
    firstDeployment: true,
    fault: someFaults({ share: 0.2, kinds: usualFaults, seed: 2 }),
  },
]

describe('callback, lazy and recurring, several at once', () => {
  test.for(variants)(
    'default: each is computed once and answered once ($name)',
    options,
    async ({ name: _, ...variant }, { onTestFinished }) => {
      const system = await chainSystemOf({ chains: [variant], onTestFinished })
      await system.startRunner()
      const [asker] = system.askers
      const asked = await askAll(asker)
      await answeredThrough(asker, asked)
      const { once, recurring } = asked
      expect(runsOf(system, asker, once)).toEqual(times(1, once))
      expect(runsOf(system, asker, recurring)).toEqual(times(3, recurring))
    },
  )

  test('behavior: two chains in one node, with the same ids on both', options, async ({ onTestFinished }) => {
    const system = await chainSystemOf({ chains: [{}, { id: 31_338 }], onTestFinished })
    await system.startRunner()
    await Promise.all(
      system.askers.map(async asker => {
        const asked = await askAll(asker)
        await answeredThrough(asker, asked)
        const { once, recurring } = asked
        expect(runsOf(system, asker, once)).toEqual(times(1, once))
        expect(runsOf(system, asker, recurring)).toEqual(times(3, recurring))
      }),
    )
  })
})

test('behavior: what was answered and what was refused can be read', options, async ({ onTestFinished }) => {
  const system = await chainSystemOf({ onTestFinished, config: { reorg_depth: 2 } })
  await system.startRunner()
  const [asker] = system.askers
  const { chain } = asker
  const id = await asker.ask()
  await answered(asker, times(1, [id]))
  const refused = await asker.ask({ container: 'nobody-has-this' })
  await chain.anvil.mine({ blocks: 3 })
  const isFinal = async () => (await system.subscription(asker, id)).deliveries[0]?.state === 'final'
  await until('the answer is final', isFinal)
  const seen = await until('the other is seen', () => system.subscription(asker, refused).catch(() => null))

  expect(seen).toMatchObject({
    chain: chain.id,
    id: refused,
    state: 'refused',
    reason: { code: 'unsupported_containers', message: 'Container-set not supported' },
    containers: null,
    deliveries: [],
  })
  const { deliveries, ...subscription } = await system.subscription(asker, id)
  expect(subscription).toMatchObject({
    chain: chain.id,
    id,
    state: 'ended',
    containers: ['echo'],
    owner: asker.consumer.address.toLowerCase(),
    period: 0,
    redundancy: 1,
    lazy: false,
    payment: null,
  })
  expect(deliveries).toMatchObject([
    { interval: 1, state: 'final', reason: null, transaction: { nonce: 0, state: 'final', succeeded: true } },
  ])
  const hash = deliveries[0]?.transaction?.hash as `0x${string}`
  const receipt = await chain.deployer.chain.getTransactionReceipt({ hash })
  expect(deliveries[0]?.transaction).toMatchObject({
    block: Number(receipt.blockNumber),
    gas_used: Number(receipt.gasUsed),
    cost: String(receipt.gasUsed * receipt.effectiveGasPrice),
  })
  expect(await read(system, `/api/jobs/${deliveries[0]?.job}`)).toMatchObject({
    state: 'success',
    subscription: { chain: chain.id, id, delivery: { interval: 1, state: 'final' } },
  })
  const { subscriptions } = await read<{ subscriptions: { id: number }[] }>(system, '/api/subscriptions')
  expect(subscriptions.map(each => each.id)).toEqual([refused, id])
  const { chains } = await read<Info>(system, '/info')
  expect(chains).toMatchObject([
    {
      id: chain.id,
      registry: chain.registry.toLowerCase(),
      coordinator: chain.coordinator.toLowerCase(),
      problem: null,
      subscriptions: refused,
      signer: { blocked: null },
      pending: { computed: 0, sending: 0, left: 0, mined: 0 },
      endpoints: [{ problem: null }],
    },
  ])
})

test(
  'behavior: what was refused is begun as soon as a runner offers it',
  options,
  async ({ onTestFinished }) => {
    const system = await chainSystemOf({ onTestFinished })
    const [asker] = system.askers
    await system.edge.runSchedule()
    const id = await asker.ask()
    const seen = await until('it is refused', () => system.subscription(asker, id).catch(() => null))
    expect(seen).toMatchObject({ state: 'refused', reason: { code: 'unsupported_containers' } })
    // Well before the ticker would read by itself what others have written.
    await system.startRunner()
    await answered(asker, times(1, [id]))
  },
)

async function read<T>({ url }: ChainSystem, path: string): Promise<T> {
  const response = await fetch(`${url}${path}`)
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  return (await response.json()) as T
}

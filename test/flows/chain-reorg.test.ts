import { describe, expect, test } from 'vitest'
import { answered, holdFirst, runsOf, times } from './asked.ts'
import { type Asker, bothDeployments, type ChainSystem, chainSystemOf } from './asker.ts'
import { until } from './until.ts'

const options = { concurrent: true, timeout: 180_000 }

/** Where the answer is at that moment; of what is `mined` the node does not know it yet, as a rule. */
type Moment = 'computing' | 'mined' | 'delivered'

/** `kept`: whether the request is in the new blocks too. */
type Story = { depth: number; moment: Moment; kept: boolean }

const stories: Story[] = [
  { depth: 1, moment: 'computing', kept: true },
  { depth: 1, moment: 'mined', kept: true },
  { depth: 1, moment: 'delivered', kept: true },
  { depth: 3, moment: 'computing', kept: true },
  { depth: 3, moment: 'computing', kept: false },
  { depth: 3, moment: 'mined', kept: true },
  { depth: 3, moment: 'delivered', kept: true },
  { depth: 3, moment: 'delivered', kept: false },
  { depth: 10, moment: 'computing', kept: true },
  { depth: 10, moment: 'delivered', kept: true },
  { depth: 10, moment: 'delivered', kept: false },
]

describe('a reorganisation of chains with both deployments', () => {
  test.for(stories)(
    'behavior: $depth deep, the answer is $moment, the request is kept: $kept',
    options,
    async ({ depth, moment, kept }, { onTestFinished }) => {
      const system = await chainSystemOf({ onTestFinished, chains: bothDeployments })
      await system.startRunner()
      await Promise.all(system.askers.map(asker => undo(system, asker, { depth, moment, kept })))
    },
  )
})

async function undo(system: ChainSystem, asker: Asker, { depth, moment, kept }: Story): Promise<void> {
  const { anvil } = asker.chain
  // So that no contract is lost.
  await anvil.mine({ blocks: depth })
  const release = await holdFirst(system, asker, moment === 'computing' ? 1 : 0)
  const id = await asker.ask()
  await reach(moment, { system, asker, id })
  // The request's two transactions and the answer are the last three blocks as it is.
  if (depth > 3) await anvil.mine({ blocks: depth - 3 })

  await asker.reorganise({ depth, kept })
  // As chains do.
  await anvil.setIntervalMining({ interval: 1 })
  await release()
  if (kept) await answered(asker, times(1, [id]))
  // What is asked next is answered too, under the same id if it is free again.
  const next = await asker.ask()
  expect(next).toBe(kept ? id + 1 : id)
  await answered(asker, times(1, kept ? [id, next] : [next]))
  if (kept) expect(runsOf(system, asker, [id])).toEqual(times(1, [id]))
}

async function reach(
  moment: Moment,
  { system, asker, id }: { system: ChainSystem; asker: Asker; id: number },
): Promise<void> {
  if (moment === 'computing')
    return void (await until('it runs', () => runsOf(system, asker, [id]).get(id) === 1))
  await answered(asker, times(1, [id]))
  if (moment === 'delivered')
    await until('the node knows', async () => {
      const { deliveries } = await system.subscription(asker, id)
      return deliveries[0]?.state === 'delivered'
    })
}

import { describe, expect, test } from 'vitest'
import type { DelegatedInFull } from '../../src/protocol/chain.ts'
import type { DelegatedCreated } from '../../src/protocol/delegated.ts'
import { type Asking, type Delegator, deployDelegator } from '../support/delegators.ts'
import { adminToken } from '../support/edge.ts'
import type { Fault, RpcRequest } from '../support/rpc-proxy.ts'
import { startWorkerd } from '../support/workerd.ts'
import { hour } from './asked.ts'
import {
  type Asker,
  bothDeployments,
  type ChainSystem,
  type ChainSystemOptions,
  chainSystemOf,
} from './asker.ts'
import { killed } from './part.ts'
import { until } from './until.ts'

const options = { concurrent: true, timeout: 180_000 }

/** One that was signed for, as its client knows it. `times`: how often it is to be answered in the end. */
type Signed = { name: string; text: string; created: DelegatedCreated; times: number }

type Story = { system: ChainSystem; asker: Asker; delegator: Delegator }

/** One system, and a story on each of its chains: of both deployments. */
async function storiesOf(given: ChainSystemOptions): Promise<{ system: ChainSystem; stories: Story[] }> {
  const system = await chainSystemOf({ chains: bothDeployments, ...given })
  const stories: Story[] = []
  for (const asker of system.askers)
    stories.push({ system, asker, delegator: await deployDelegator(asker.chain) })
  return { system, stories }
}

/** What the container counts calls by. */
function nameAt({ asker }: Story, name: string): string {
  return `${asker.chain.id}-${name}`
}

async function send(url: string, text: string): Promise<DelegatedCreated> {
  const response = await fetch(`${url}/api/subscriptions`, { method: 'POST', body: text })
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  return (await response.json()) as DelegatedCreated
}

async function signed(story: Story, { name: short, ...asking }: Asking & { name: string }): Promise<Signed> {
  const { system, delegator } = story
  const name = nameAt(story, short)
  const text = await delegator.body(asking, `{"name":"${name}"}`)
  return { name, text, created: await send(system.url, text), times: Number(asking.frequency ?? 1) }
}

/** Callbacks, and one that recurs three times. */
async function signAll(story: Story): Promise<Signed[]> {
  const { timestamp } = await story.asker.chain.deployer.chain.getBlock()
  const recurring = { active_at: Number(timestamp), period: hour, frequency: 3 }
  return [
    await signed(story, { name: 'first' }),
    await signed(story, { name: 'second', lazy: true }),
    await signed(story, { name: 'recurring', ...recurring }),
  ]
}

async function shown({ system }: Story, { created }: Signed): Promise<DelegatedInFull> {
  const response = await fetch(`${system.url}/api/subscriptions/${created.id}`)
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  return (await response.json()) as DelegatedInFull
}

async function areAll(story: Story, all: readonly Signed[], state: string): Promise<boolean> {
  const views = await Promise.all(all.map(each => shown(story, each)))
  return views.every(({ deliveries }) => deliveries[0]?.state === state)
}

/** Waits until each was answered so often, as the node tells as well; none may be answered more often, and no other at all. */
async function answeredSoOften(
  story: Story,
  all: readonly Signed[],
  times: readonly number[],
): Promise<void> {
  const total = times.reduce((sum, count) => sum + count, 0)
  await until(`answered so often: ${times}`, async () => {
    const counts = [...(await story.asker.answers()).values()]
    return counts.reduce((sum, count) => sum + count, 0) >= total
  })
  const settled = await until('the node has seen it', async () => {
    const views = await Promise.all(all.map(each => shown(story, each).catch(() => null)))
    const isSettled = views.every(
      (view, index) =>
        view?.deliveries.length === times[index] &&
        view?.deliveries.every(({ state }) => state === 'delivered'),
    )
    return isSettled ? views.flatMap(view => view ?? []) : null
  })
  const ids = settled.map(view => view.subscription_id ?? 0)
  expect(await story.asker.answers()).toEqual(new Map(ids.map((id, index) => [id, times[index]])))
}

/** Puts the chain's clock forward through all intervals of what recurs. */
async function answeredThrough(story: Story, all: readonly Signed[]): Promise<void> {
  for (const interval of [1, 2, 3]) {
    if (interval > 1) await story.asker.chain.warp(hour)
    const times = all.map(each => Math.min(interval, each.times))
    await answeredSoOften(story, all, times)
  }
  for (const { name, times } of all) expect([name, story.system.container.calls(name)]).toEqual([name, times])
}

test('default: what is signed is computed and answered once', options, async ({ onTestFinished }) => {
  const { system, stories } = await storiesOf({ onTestFinished })
  await system.startRunner()
  for (const story of stories) {
    const all = await signAll(story)
    expect(all.map(({ created }) => created)).toMatchObject([
      { subscription_id: null, interval: 1 },
      { subscription_id: null, interval: 1 },
      { subscription_id: null, interval: 1 },
    ])
    await answeredThrough(story, all)
    // Nobody is sent anything more by who asks again.
    for (const { text, created } of all) expect((await send(system.url, text)).id).toBe(created.id)
    await answeredSoOften(
      story,
      all,
      all.map(({ times }) => times),
    )
  }
})

test(
  'behavior: two edges with one signer on one database, both asked the same: each is answered once',
  options,
  async ({ onTestFinished }) => {
    const { system, stories } = await storiesOf({ onTestFinished })
    const other = await startWorkerd({
      vars: { DATABASE_URL: system.gates.database.url, ADMIN_TOKEN: adminToken, ...system.vars },
      log: () => {},
    })
    onTestFinished(other.close)
    await system.startRunner()
    await other.runSchedule()
    for (const story of stories) {
      const all = await Promise.all(
        ['a', 'b', 'c', 'd'].map(async (letter): Promise<Signed> => {
          const name = nameAt(story, letter)
          const text = await story.delegator.body({}, `{"name":"${name}"}`)
          const [created, same] = await Promise.all([send(system.url, text), send(other.url, text)])
          expect(same.id).toBe(created.id)
          return { name, text, created, times: 1 }
        }),
      )
      await answeredSoOften(story, all, [1, 1, 1, 1])
      for (const { name } of all) expect([name, system.container.calls(name)]).toEqual([name, 1])
    }
  },
)

/**
 * Where the answers are when the program dies. `taken`: nobody computes yet. `computed`: there is an answer, and no transaction. `signed`: no
 * transaction gets to the chain. `sent`: it does, and nobody is told. `mined`: it is told, and its receipt is not.
 */
type Moment = 'taken' | 'computing' | 'computed' | 'signed' | 'sent' | 'mined'

const deaths: { program: 'edge' | 'database'; moment: Moment }[] = [
  ...(['taken', 'computing', 'computed', 'signed', 'sent', 'mined'] as const).map(moment => ({
    program: 'edge' as const,
    moment,
  })),
  ...(['taken', 'computing', 'signed', 'sent'] as const).map(moment => ({
    program: 'database' as const,
    moment,
  })),
]

const asks = ({ calls }: RpcRequest, method: string) => calls.some(call => call.method === method)

/** What becomes of the node's requests until the program dies, and whether it has come to where it is to die. */
function trouble(moment: Moment): { fault(request: RpcRequest): Fault | null; hasCome(): boolean } {
  let isThere = false
  const come = (fault: Fault | null) => {
    isThere = true
    return fault
  }
  return {
    fault(request) {
      if (moment === 'computed') return asks(request, 'eth_estimateGas') ? come({ kind: 'hang' }) : null
      if (moment === 'mined') return isThere ? { kind: 'hang' } : asksToSend(request) ? come(null) : null
      if (!asksToSend(request)) return null
      if (moment === 'signed') return come({ kind: 'hang' })
      return moment === 'sent' ? come({ kind: 'broken' }) : null
    },
    hasCome: () => isThere,
  }
}

const asksToSend = (request: RpcRequest) => asks(request, 'eth_sendRawTransaction')

describe('a program is killed, and comes back', () => {
  test.for(deaths)(
    'behavior: the $program, $moment: on both deployments each is answered once',
    options,
    async ({ program, moment }, { onTestFinished }) => {
      const { system, stories } = await storiesOf({ onTestFinished })
      const names = stories.flatMap(story =>
        ['first', 'second', 'recurring'].map(name => nameAt(story, name)),
      )
      if (moment !== 'taken') {
        await system.container.hold(...names)
        await system.startRunner()
      } else await enrolled(system)
      const sides = await Promise.all(
        stories.map(async story => {
          const { fault, hasCome } = trouble(moment)
          story.asker.proxy.setFault(fault)
          return { story, hasCome, all: await signAll(story) }
        }),
      )
      if (moment !== 'taken')
        await until('the container works', () => names.every(name => system.container.calls(name) === 1))
      if (moment !== 'taken' && moment !== 'computing') {
        await system.container.release(...names)
        await until('the answers are there', () => sides.every(({ hasCome }) => hasCome()))
        if (moment === 'computed')
          for (const { story, all } of sides)
            await until('none is sent', async () => await areAll(story, all, 'computed'))
      }

      await (program === 'edge' ? system.edge.kill() : system.database.kill())
      for (const { story } of sides) story.asker.proxy.setFault(() => null)
      await system.container.release(...names)
      await (program === 'edge' ? system.edge.start() : system.database.start())
      if (moment === 'taken') await system.startRunner()
      await Promise.all(
        sides.map(async ({ story, all }) => {
          // As a client does that has got no answer.
          const again = await until('it is asked again', () =>
            Promise.all(all.map(({ text }) => send(system.url, text))).catch(() => null),
          )
          expect(again.map(({ id }) => id)).toEqual(all.map(({ created }) => created.id))
          await answeredThrough(story, all)
        }),
      )
    },
  )
})

/** A runner that has been there, and is not: what it offers is known. */
async function enrolled(system: ChainSystem): Promise<void> {
  await killed(await system.startRunner())
}

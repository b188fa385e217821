import { describe, expect, test } from 'vitest'
import { adminToken } from '../support/edge.ts'
import type { Fault } from '../support/rpc-proxy.ts'
import { startWorkerd } from '../support/workerd.ts'
import { answered, answeredThrough, askAll, holdFirst, hour, runsOf, times } from './asked.ts'
import { type Asker, bothDeployments, type ChainSystem, chainSystemOf } from './asker.ts'
import { killed } from './part.ts'
import type { RunnerProcess } from './system.ts'
import { until } from './until.ts'

const options = { concurrent: true, timeout: 180_000 }

/** Where the answers are when the program dies. */
type Moment = 'computing' | 'simulated' | 'signed' | 'sent' | 'mined'

const stories: { program: 'edge' | 'database' | 'runner'; moment: Moment }[] = [
  { program: 'edge', moment: 'computing' },
  { program: 'edge', moment: 'simulated' },
  { program: 'edge', moment: 'signed' },
  { program: 'edge', moment: 'sent' },
  { program: 'edge', moment: 'mined' },
  { program: 'database', moment: 'computing' },
  { program: 'database', moment: 'signed' },
  { program: 'database', moment: 'sent' },
  { program: 'runner', moment: 'computing' },
]

/**
 * What goes wrong with which requests. `simulated`: nobody is told that it would be accepted. `signed`: no transaction gets to the chain.
 * `sent`: it does, and nobody is told. `mined`: nobody is told of that.
 */
const faults: Record<Moment, { method: string; fault: Fault } | null> = {
  computing: null,
  simulated: { method: 'eth_estimateGas', fault: { kind: 'broken' } },
  signed: { method: 'eth_sendRawTransaction', fault: { kind: 'hang' } },
  sent: { method: 'eth_sendRawTransaction', fault: { kind: 'broken' } },
  mined: { method: 'eth_getTransactionReceipt', fault: { kind: 'hang' } },
}

/** Until its requests are let through, they fail as they do at this moment. @returns whether one has. */
function failAt(moment: Moment, { proxy }: Asker): () => boolean {
  const failing = faults[moment]
  let met = false
  proxy.setFault(({ calls }) => {
    if (failing === null || !calls.some(({ method }) => method === failing.method)) return null
    met = true
    return failing.fault
  })
  return () => met
}

describe('a program is killed, and comes back', () => {
  test.for(stories)(
    'behavior: the $program, $moment: on both deployments each is answered once',
    options,
    async ({ program, moment }, { onTestFinished }) => {
      const system = await chainSystemOf({ onTestFinished, chains: bothDeployments })
      const runner = await system.startRunner()
      const sides = await Promise.all(
        system.askers.map(async asker => {
          const release = await holdFirst(system, asker, 3)
          const hasFailed = failAt(moment, asker)
          return { asker, release, hasFailed, asked: await askAll(asker, 1) }
        }),
      )
      const releaseAll = () => Promise.all(sides.map(({ release }) => release()))
      await until('the container works', () =>
        sides.every(({ asker, asked }) => isRunning(system, asker, asked.once)),
      )
      if (moment !== 'computing') {
        await releaseAll()
        await until(`all is ${moment}`, () => sides.every(({ hasFailed }) => hasFailed()))
      }

      await kill(system, program, runner)
      for (const { asker } of sides) asker.proxy.setFault(() => null)
      await releaseAll()
      await start(system, program)
      await Promise.all(sides.map(({ asker, asked }) => answeredThrough(asker, asked)))
      for (const { asker, asked } of sides) {
        const { once, recurring } = asked
        // What a runner had in hand is computed again by the next one.
        expect(runsOf(system, asker, once)).toEqual(times(program === 'runner' ? 2 : 1, once))
        expect(runsOf(system, asker, recurring)).toEqual(times(3, recurring))
      }
    },
  )
})

test(
  'behavior: the edge, until the interval is over that it has signed for: its nonce is used up, and the next one is answered',
  options,
  async ({ onTestFinished }) => {
    const system = await chainSystemOf({ onTestFinished, chains: bothDeployments })
    await system.startRunner()
    const sides = await Promise.all(
      system.askers.map(async asker => {
        const id = await asker.ask({ frequency: 2, period: hour })
        return { asker, id, hasFailed: failAt('signed', asker) }
      }),
    )
    const warp = () => Promise.all(sides.map(({ asker }) => asker.chain.warp(hour)))
    await warp()
    await until('it is signed', () => sides.every(({ hasFailed }) => hasFailed()))
    await system.edge.kill()
    for (const { asker } of sides) asker.proxy.setFault(() => null)
    await warp()
    await system.edge.start()
    for (const { asker, id } of sides) {
      await answered(asker, times(1, [id]))
      const deliveries = await until('the node knows', async () => {
        const { deliveries } = await system.subscription(asker, id)
        return deliveries[0]?.state === 'delivered' && deliveries
      })
      expect(deliveries).toMatchObject([
        { interval: 2, state: 'delivered' },
        { interval: 1, state: 'dropped', reason: { code: 'too_late' } },
      ])
      expect(runsOf(system, asker, [id])).toEqual(times(2, [id]))
    }
  },
)

test(
  'behavior: two edges with one signer on one database: on both deployments each is answered once',
  options,
  async ({ onTestFinished }) => {
    const system = await chainSystemOf({ onTestFinished, chains: bothDeployments })
    const other = await startWorkerd({
      vars: { DATABASE_URL: system.gates.database.url, ADMIN_TOKEN: adminToken, ...system.vars },
      log: () => {},
    })
    onTestFinished(other.close)
    await system.startRunner()
    await other.runSchedule()
    await Promise.all(
      system.askers.map(async asker => {
        const asked = await askAll(asker, 4)
        await answeredThrough(asker, asked)
        const { once, recurring } = asked
        expect(runsOf(system, asker, once)).toEqual(times(1, once))
        expect(runsOf(system, asker, recurring)).toEqual(times(3, recurring))
      }),
    )
  },
)

function isRunning(system: ChainSystem, asker: Asker, ids: readonly number[]): boolean {
  return [...runsOf(system, asker, ids).values()].every(count => count === 1)
}

async function kill(system: ChainSystem, program: string, runner: RunnerProcess): Promise<void> {
  if (program === 'runner') await killed(runner)
  else if (program === 'edge') await system.edge.kill()
  else await system.database.kill()
}

async function start(system: ChainSystem, program: string): Promise<void> {
  if (program === 'runner') await system.startRunner()
  else if (program === 'edge') await system.edge.start()
  else await system.database.start()
}

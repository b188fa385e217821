import { describe, expect, test } from 'vitest'
import { startEdge } from '../../src/local/edge.ts'
import { adminToken } from '../support/edge.ts'
import type { Fault } from '../support/rpc-proxy.ts'
import { answered, answeredThrough, askAll, holdFirst, hour, runsOf, times } from './asked.ts'
import { type Asker, type ChainSystem, chainSystemOf } from './asker.ts'
import { killed } from './part.ts'
import type { RunnerProcess } from './system.ts'
import { until } from './until.ts'

const options = { concurrent: true, timeout: 120_000 }

/** Where the answers are when the program dies. */
type Moment = 'computing' | 'simulated' | 'signed' | 'sent' | 'mined'

const stories: { program: 'edge' | 'database' | 'runner'; moment: Moment; firstDeployment?: true }[] = [
  { program: 'edge', moment: 'computing' },
  { program: 'edge', moment: 'simulated' },
  { program: 'edge', moment: 'signed' },
  { program: 'edge', moment: 'sent' },
  { program: 'edge', moment: 'mined' },
  { program: 'database', moment: 'computing' },
  { program: 'database', moment: 'signed' },
  { program: 'database', moment: 'sent' },
  { program: 'runner', moment: 'computing' },
  // Only the edge reads the chain and sends to it. There each answer goes by itself.
  { program: 'edge', moment: 'computing', firstDeployment: true },
  { program: 'edge', moment: 'signed', firstDeployment: true },
  { program: 'edge', moment: 'sent', firstDeployment: true },
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

describe('a program is killed, and comes back', () => {
  test.for(stories.map(story => ({ firstDeployment: false, ...story })))(
    'behavior: the $program, $moment, first deployment: $firstDeployment: each is answered once',
    options,
    async ({ program, moment, firstDeployment }, { onTestFinished }) => {
      const system = await chainSystemOf({ onTestFinished, firstDeployment })
      const runner = await system.startRunner()
      const [asker] = system.askers
      const release = await holdFirst(system, asker, 3)
      let met = 0
      const failing = faults[moment]
      asker.proxy.setFault(({ calls }) => {
        if (failing === null || !calls.some(({ method }) => method === failing.method)) return null
        met += 1
        return failing.fault
      })
      const asked = await askAll(asker, 1)
      const { once, recurring } = asked
      await until('the container works', () => isRunning(system, asker, once))
      if (moment !== 'computing') {
        await release()
        await until(`it is ${moment}`, () => met > 0)
      }

      await kill(system, program, runner)
      asker.proxy.setFault(() => null)
      await release()
      await start(system, program)
      await answeredThrough(asker, asked)
      // What a runner had in hand is computed again by the next one.
      expect(runsOf(system, asker, once)).toEqual(times(program === 'runner' ? 2 : 1, once))
      expect(runsOf(system, asker, recurring)).toEqual(times(3, recurring))
    },
  )
})

test(
  'behavior: the edge, until the interval is over that it has signed for: its nonce is used up, and the next one is answered',
  options,
  async ({ onTestFinished }) => {
    const system = await chainSystemOf({ onTestFinished })
    const [asker] = system.askers
    await system.startRunner()
    const id = await asker.ask({ frequency: 2, period: hour })
    let met = 0
    asker.proxy.setFault(({ calls }) => {
      if (!calls.some(({ method }) => method === 'eth_sendRawTransaction')) return null
      met += 1
      return { kind: 'hang' }
    })
    await asker.chain.warp(hour)
    await until('it is signed', () => met > 0)
    await system.edge.kill()
    asker.proxy.setFault(() => null)
    await asker.chain.warp(hour)
    await system.edge.start()
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
  },
)

test.for([false, true])(
  'behavior: two edges with one signer on one database, first deployment: %s: each is answered once',
  options,
  async (firstDeployment, { onTestFinished }) => {
    const system = await chainSystemOf({ onTestFinished, firstDeployment })
    const [asker] = system.askers
    const other = await startEdge({
      vars: { DATABASE_URL: system.gates.database.url, ADMIN_TOKEN: adminToken, ...system.vars },
      log: () => {},
    })
    onTestFinished(other.close)
    await system.startRunner()
    await other.runSchedule()
    const asked = await askAll(asker, 4)
    await answeredThrough(asker, asked)
    const { once, recurring } = asked
    expect(runsOf(system, asker, once)).toEqual(times(1, once))
    expect(runsOf(system, asker, recurring)).toEqual(times(3, recurring))
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

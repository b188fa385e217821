import type { Job } from '../../src/protocol/job.ts'
import type { Message } from './gate.ts'
import { resultText, stateOf } from './jobs.ts'
import type { Pair } from './pair.ts'
import type { RunnerProcess, System } from './system.ts'
import { until } from './until.ts'

export type Stage = { system: System; pair: Pair; runner: () => RunnerProcess }

export type Scene = {
  /** Resolves when both jobs are at the step. */
  reached(): Promise<void>
  /** Lets them go on. */
  release(): Promise<void>
}

/** A step of a job's life, at which both jobs of a pair can be held. `hold` is called before they can get there. */
export type Step = { name: string; hold(stage: Stage): Promise<Scene> }

const claims = ({ path }: Message) => path === '/runner/claim'
const reports = ({ path }: Message) => path === '/runner/report'
const inputs = ({ path }: Message) => path.includes('/input?')
const parts = ({ method }: Message) => method === 'PUT'
const naming = (id: string) => (message: Message) => message.body.includes(id)

/** Steps that begin once the jobs are in the queue, in the order of a job's life. */
export const steps: readonly Step[] = [
  {
    name: 'queued',
    async hold({ system, pair }) {
      const claim = system.gates.edge.hold('request', claims)
      return {
        async reached() {
          await claim.reached()
          await inState(system, pair, { small: 'queued', large: 'queued' })
        },
        release: async () => claim.release(),
      }
    },
  },
  {
    name: 'claimed',
    async hold({ system, pair }) {
      const claim = system.gates.edge.hold('answer', message => claims(message) && namesAny(message, pair))
      return {
        async reached() {
          await claim.reached()
          await inState(system, pair, { small: 'running', large: 'running' })
        },
        release: async () => claim.release(),
      }
    },
  },
  {
    name: 'input read',
    async hold({ system, pair }) {
      const input = system.gates.edge.hold('answer', inputs)
      await system.container.hold(pair.small.name)
      return {
        async reached() {
          await input.reached()
          await untilStarted(system, pair)
        },
        async release() {
          input.release()
          await system.container.release(pair.small.name)
        },
      }
    },
  },
  {
    name: 'container called',
    async hold({ system, pair }) {
      await system.container.hold(pair.small.name, pair.large.name)
      return {
        async reached() {
          await until('both are called', () => everyOf(pair, system.container.calls))
          await untilStarted(system, pair)
        },
        release: () => system.container.release(pair.small.name, pair.large.name),
      }
    },
  },
  {
    name: 'container half way',
    async hold({ system, pair }) {
      await system.container.holdHalfWay(pair.small.name, pair.large.name)
      return {
        async reached() {
          await until('both are half answered', () => everyOf(pair, system.container.halves))
          await untilStarted(system, pair)
        },
        release: () => system.container.release(pair.small.name, pair.large.name),
      }
    },
  },
  {
    name: 'spooled',
    async hold({ system, pair, runner }) {
      const holds = [system.gates.edge.hold('request', reports), system.gates.edge.hold('request', parts)]
      return {
        async reached() {
          await until('both are in the spool', () => {
            const there = new Set(runner().spooled())
            return there.has(pair.small.id) && there.has(pair.large.id)
          })
          for (const hold of holds) await hold.reached()
        },
        release: async () => releaseAll(holds),
      }
    },
  },
  {
    name: 'parts uploaded',
    async hold({ system, pair }) {
      const report = system.gates.edge.hold('request', reports)
      return {
        async reached() {
          await report.reached()
          await until('every part is stored', async () => (await resultParts(system, pair.large.id)) === 2)
        },
        release: async () => report.release(),
      }
    },
  },
  {
    name: 'reported',
    async hold({ system, pair }) {
      const report = system.gates.edge.hold(
        'answer',
        message => reports(message) && naming(pair.large.id)(message),
      )
      // One report is on its way at a time: the small result is not to wait behind the large one.
      await system.container.hold(pair.large.name)
      return {
        async reached() {
          await until(
            'the small one is stored',
            async () => (await stateOf(system, pair.small.id)) === 'success',
          )
          await system.container.release(pair.large.name)
          await report.reached()
          await inState(system, pair, { small: 'success', large: 'success' })
        },
        async release() {
          report.release()
          await system.container.release(pair.large.name)
        },
      }
    },
  },
  {
    name: 'read',
    async hold({ system, pair }) {
      const { database } = system.gates
      let release = async () => {}
      return {
        async reached() {
          await inState(system, pair, { small: 'success', large: 'success' })
          const row = database.hold('request', message => naming(pair.small.id)(message))
          const part = database.hold(
            'request',
            message => readsParts(message) && naming(pair.large.id)(message),
          )
          // They may break off: whoever reads asks again.
          const reading = Promise.allSettled([
            resultText(system, pair.small.id),
            resultText(system, pair.large.id),
          ])
          release = async () => {
            releaseAll([row, part])
            await reading
          }
          await Promise.all([row.reached(), part.reached()])
        },
        release: () => release(),
      }
    },
  },
]

function readsParts({ body }: Message): boolean {
  return body.includes('select bytes from parts')
}

function releaseAll(holds: readonly { release(): void }[]): void {
  for (const hold of holds) hold.release()
}

function namesAny(message: Message, { small, large }: Pair): boolean {
  return naming(small.id)(message) || naming(large.id)(message)
}

function everyOf({ small, large }: Pair, count: (name: string) => number): boolean {
  return count(small.name) > 0 && count(large.name) > 0
}

type States = { small: Job['state']; large: Job['state'] }

async function inState(system: System, { small, large }: Pair, states: States): Promise<void> {
  await until(`the jobs are ${states.small} and ${states.large}`, async () => {
    const [first, second] = await Promise.all([stateOf(system, small.id), stateOf(system, large.id)])
    return first === states.small && second === states.large
  })
}

/** Until the edge knows that both have started: the try counts, also when the runner dies. */
async function untilStarted({ db }: System, { small, large }: Pair): Promise<void> {
  await until('both are known to have started', async () => {
    const [row] = await db.orm.all<{ started: number }>(
      `select count(*) as started from jobs where id in ('${small.id}', '${large.id}') and tries = 1`,
    )
    return row?.started === 2
  })
}

async function resultParts({ db }: System, id: string): Promise<number> {
  const [row] = await db.orm.all<{ parts: number }>(
    `select count(*) as parts from parts where job = '${id}' and kind = 'result'`,
  )
  return row?.parts ?? 0
}

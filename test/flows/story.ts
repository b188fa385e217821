import type { Hold } from './gate.ts'
import { createPair, ended, type Outcome, outcomeOf, type Pair } from './pair.ts'
import type { Part } from './part.ts'
import type { Scene, Step } from './steps.ts'
import { pace, type System } from './system.ts'
import type { Program, Theatre } from './theatre.ts'
import { until } from './until.ts'

/** What befalls a program: it dies and is started again; it stands still for longer than a lease; the one after the other. */
export type Blow = 'killed' | 'stopped' | 'stopped and killed'

export type Story = { program: Program; blow: Blow; step: Step | 'created' }

/** `recoveryMs`: from the blow, or from the end of the standstill, until both jobs had ended. */
export type Ending = { small: Outcome; large: Outcome; recoveryMs: number }

/** Takes a small and a large job to a step, lets a program suffer there, and sees both to their ends. */
export async function play(theatre: Theatre, { program, blow, step }: Story): Promise<Ending> {
  theatre.tidy()
  const { system, programs } = theatre
  const { pair, scene } = await (step === 'created' ? toBirth(theatre) : toStep(theatre, step))
  const from = await strike(programs[program], blow)
  await scene.release()
  const both = await pair
  await ended(system, both)
  const recoveryMs = performance.now() - from
  const [small, large] = await Promise.all([outcomeOf(system, both.small), outcomeOf(system, both.large)])
  return { small, large, recoveryMs }
}

type Set = { pair: Promise<Pair>; scene: Scene }

/** Both jobs are stored, and nobody is told: the client has no ids yet, and no runner has taken them. */
async function toBirth({ system }: Theatre): Promise<Set> {
  const claim = await gather(system)
  const stored = system.gates.database.hold('answer', ({ asked }) => asked.includes('insert into jobs'))
  const pair = createPair(system)
  await stored.reached(2)
  const release = async () => {
    stored.release()
    claim.release()
  }
  return { pair, scene: { reached: async () => {}, release } }
}

async function toStep({ system, runner }: Theatre, step: Step): Promise<Set> {
  const claim = await gather(system)
  const pair = await createPair(system)
  const scene = await step.hold({ system, pair, runner })
  claim.release()
  await scene.reached()
  return { pair: Promise.resolve(pair), scene }
}

/** Claims wait until both jobs are in the queue, so that both go with one claim. */
async function gather(system: System): Promise<Hold> {
  const claim = system.gates.edge.hold('request', ({ path }) => path === '/runner/claim')
  await claim.reached()
  return claim
}

/** @returns when the program could go on, or died for good. */
async function strike(part: Part, blow: Blow): Promise<number> {
  if (blow !== 'killed') {
    part.stop()
    const leaseEnd = performance.now() + pace.leaseMs
    await until('every lease that was renewed before is over', () => performance.now() > leaseEnd)
  }
  const from = performance.now()
  if (blow === 'stopped') part.resume()
  else {
    await part.kill()
    await part.start()
  }
  return from
}

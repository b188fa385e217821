import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '../../../src/client/client.ts'
import { type Blow, strikeContainers, strikeRunner, strikeWire } from './blows.ts'
import { type Made, putLoad } from './load.ts'
import { type Memory, watchMemory } from './memory.ts'
import { carriedBytes } from './plan.ts'
import { createRandom } from './random.ts'
import { chainsOf, containersOf, networksOf, spooled, zombies } from './remains.ts'
import { containers, type Stand, setUp } from './stand.ts'
import { judge, outcomeOf, storyOf } from './verdict.ts'

export type SoakOptions = {
  /** Gives the same jobs and the same blows, at other moments. */
  seed: number
  /** How long jobs are made. */
  loadMs: number
  /** Between two blows to containers, and between two to the runner or its connection; in milliseconds. */
  containerEveryMs: readonly [least: number, most: number]
  runnerEveryMs: readonly [least: number, most: number]
  /** Ends the load early. */
  signal?: AbortSignal
}

/**
 * From one third of the time to the next. With semi-spaces of 4 MiB, and buffers that are freed when their owners are collected, a process whose
 * heap stays the same goes up and down by 7 MiB in thirds of 200 s and by 17 in thirds of 20 s, when it has just begun. Of ten minutes' inputs and outputs a
 * third is more than this.
 */
const steadyBytes = 32 * 2 ** 20

/** `faults`: what should not have been, in words. `figures`: by name, in their units. */
export type Soaked = { faults: string[]; figures: Record<string, number> }

/**
 * A real runner with 16 slots over 4 containers, a real edge and a real engine: jobs of every sort, while containers are killed, removed and
 * paused, the runner is killed, and its connection to the edge breaks. In the last two thirds of the time the runner is not killed, so that
 * their memory can be compared.
 */
export async function soak(options: SoakOptions): Promise<Soaked> {
  const stand = await setUp()
  try {
    await stand.startRunner().said('Runner is ready')
    return await soakOn(stand, options)
  } finally {
    await stand.close()
  }
}

async function soakOn(stand: Stand, options: SoakOptions): Promise<Soaked> {
  const client = createClient({ url: stand.url })
  const made: Made[] = []
  const blows: Blow[] = []
  const memory = watchMemory({
    runner: () => stand.runner().child.pid ?? 0,
    edge: () => stand.edge.child.pid ?? 0,
  })
  const over = new AbortController()
  const onMade = (one: Made) => void made.push(one)
  const load = putLoad({ client, seed: options.seed, signal: over.signal, onMade })
  // It is awaited when the blows are over.
  load.catch(() => undefined)
  const startedAt = performance.now()
  try {
    await strike(stand, { options, memory, onBlow: blow => void blows.push(blow) })
  } finally {
    over.abort()
    memory.stop()
  }
  const loadSeconds = (performance.now() - startedAt) / 1_000
  const faults: string[] = []
  await load.catch((error: unknown) => faults.push(`A client gave up: ${String(error)}`))
  faults.push(...(await endOf(stand)))

  const entries = stand.ledger()
  const story = storyOf(blows, entries)
  const figures: Record<string, number> = { jobs: made.length, jobs_per_s: made.length / loadSeconds }
  const count = (name: string) => {
    figures[name] = (figures[name] ?? 0) + 1
  }
  for (const one of made) {
    const job = await client.getJob(one.id)
    faults.push(...judge(job, one, story))
    count(`${one.plan.kind}: ${outcomeOf(job)}`)
    if (job.attempt > 1) count('leased more than once')
    if (job.tries > 1) count('begun more than once')
  }
  for (const { what } of blows) count(what)
  for (const { what } of entries) count(`calls: ${what}`)
  faults.push(...(await strangers(client.listJobs(), made)))
  figures['MiB of inputs and outputs'] = mebibytes(
    made.reduce((sum, { plan }) => sum + carriedBytes(plan), 0),
  )
  for (const program of ['runner', 'edge']) {
    for (const third of [0, 1, 2])
      figures[`${program}: MiB, third ${third + 1}`] = mebibytes(memory.median(program, third))
    const grownBytes = memory.median(program, 2) - memory.median(program, 1)
    // What could not be looked at has not stayed the same.
    if (!(grownBytes < steadyBytes)) faults.push(`The ${program} has grown by ${mebibytes(grownBytes)} MiB`)
  }
  return { faults, figures }
}

const mebibytes = (bytes: number) => bytes / 2 ** 20

type Striking = { options: SoakOptions; memory: Memory; onBlow: (blow: Blow) => void }

/** Resolves when the time is over, and the last blow. */
async function strike(stand: Stand, { options, memory, onBlow }: Striking): Promise<void> {
  const { seed, loadMs, containerEveryMs, runnerEveryMs, signal: given } = options
  const [ofContainers, ofRunner] = [createRandom(seed + 1), createRandom(seed + 2)]
  const ends = [given].filter(signal => signal !== undefined)
  for (const third of [0, 1, 2]) {
    if (third > 0) memory.turn()
    const signal = AbortSignal.any([...ends, AbortSignal.timeout(Math.ceil(loadMs / 3))])
    await Promise.all([
      strikeContainers({ stand, random: ofContainers, everyMs: containerEveryMs, signal, onBlow }),
      (third === 0 ? strikeRunner : strikeWire)({
        stand,
        random: ofRunner,
        everyMs: runnerEveryMs,
        signal,
        onBlow,
      }),
    ])
  }
}

/** Has the runner end in order. @returns what is there that should not be. */
async function endOf(stand: Stand): Promise<string[]> {
  const faults: string[] = []
  const look = (what: string, found: readonly string[], wanted: readonly string[] = []) => {
    if (found.join() !== wanted.join()) faults.push(`${what}: ${found.join(', ')}`)
  }
  const names = containers.map(stand.nameOf).toSorted()
  const parents = [process.pid, stand.runner().child.pid ?? 0, stand.edge.child.pid ?? 0]
  const settled = () =>
    containersOf(stand).join() === names.join() && zombies(parents).length + spooled(stand).length === 0
  // A minute is the longest back-off of a container.
  for (let looks = 0; looks < 150 && !settled(); looks++) await sleep(500)
  look('Containers that run', containersOf(stand), names)
  look('Processes that ended and are still there', zombies(parents))

  const { child, exited } = stand.runner()
  child.kill('SIGTERM')
  const { code, signal } = await exited
  if (code !== 0) faults.push(`The runner ended with ${code ?? signal}`)
  look('Containers that are left', containersOf(stand, ['-a']), names)
  look('Containers that run on', containersOf(stand))
  look(
    'Networks that are left',
    networksOf(stand).filter(name => !names.includes(name)),
  )
  look('Firewall chains that are left', chainsOf(stand))
  look('Left in the spool', spooled(stand))
  look(
    'Errors in the log of the runner',
    stand
      .log()
      .split('\n')
      .filter(line => line.includes('"level":"error"')),
  )
  return faults
}

/** Jobs that the edge knows, and nobody has made; or the other way round. */
async function strangers(listed: AsyncIterable<string>, made: readonly Made[]): Promise<string[]> {
  const ours = new Set(made.map(({ id }) => id))
  const seen = new Set<string>()
  for await (const id of listed) seen.add(id)
  return [
    ...[...seen.difference(ours)].map(id => `Nobody has made job ${id}`),
    ...[...ours.difference(seen)].map(id => `Job ${id} is lost`),
  ]
}

import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Random } from './random.ts'
import { containers, leaseMs, type Stand } from './stand.ts'

const run = promisify(execFile)

/** What was done to the system, and from when to when, in milliseconds since 1970. */
export type Blow = {
  what: 'container killed' | 'container removed' | 'container paused' | 'runner killed' | 'edge cut off'
  /** Null where it is not one container's. */
  container: string | null
  from: number
  to: number
}

const toContainers = ['container killed', 'container removed', 'container paused'] as const

export type BlowsOptions = {
  stand: Stand
  random: Random
  /** Between two blows, in milliseconds. */
  everyMs: readonly [least: number, most: number]
  signal: AbortSignal
  /** Told of each when it is over. */
  onBlow: (blow: Blow) => void
}

/** Strikes one container after the other until the signal aborts. */
export async function strikeContainers({
  stand,
  random,
  everyMs,
  signal,
  onBlow,
}: BlowsOptions): Promise<void> {
  while (await paused(random.between(...everyMs), signal)) {
    const container = random.pick(containers)
    const name = stand.nameOf(container)
    const what = random.pick(toContainers)
    const pauseMs = random.between(300, 4_000)
    const from = Date.now()
    const strike = {
      'container killed': () => run('docker', ['kill', name]),
      'container removed': () => run('docker', ['rm', '-f', name]),
      'container paused': async () => {
        await run('docker', ['pause', name])
        await sleep(pauseMs)
        // Its runner may have healed it by now.
        await run('docker', ['unpause', name]).catch(() => {})
      },
    }[what]
    // One that is down already cannot be struck.
    const struck = await strike().then(
      () => true,
      () => false,
    )
    if (struck) onBlow({ what, container, from, to: Date.now() })
  }
}

/** Kills the runner and starts another, and cuts it off from the edge in turns. */
export async function strikeRunner(options: BlowsOptions): Promise<void> {
  const { random, everyMs, signal } = options
  while (await paused(random.between(...everyMs), signal)) {
    await killRunner(options)
    if (await paused(random.between(...everyMs), signal)) await cutOff(options)
  }
}

/** Cuts the runner off from the edge again and again, and lets it live. */
export async function strikeWire(options: BlowsOptions): Promise<void> {
  const { random, everyMs, signal } = options
  while (await paused(random.between(...everyMs), signal)) await cutOff(options)
}

async function killRunner({ stand, random, onBlow }: BlowsOptions): Promise<void> {
  const from = Date.now()
  const { child, exited } = stand.runner()
  child.kill('SIGKILL')
  await exited
  await sleep(random.between(0, 2_000))
  await stand.startRunner().said('Registered')
  onBlow({ what: 'runner killed', container: null, from, to: Date.now() })
}

/** For a moment as a rule; now and then for longer than a lease. */
async function cutOff({ stand: { wire }, random, onBlow }: BlowsOptions): Promise<void> {
  const from = Date.now()
  if (random.chance(0.5)) wire.cut()
  else wire.silence()
  await sleep(random.chance(0.2) ? leaseMs + random.between(500, 3_000) : random.between(200, 3_000))
  wire.mend()
  onBlow({ what: 'edge cut off', container: null, from, to: Date.now() })
}

/** False when the signal has aborted meanwhile. */
async function paused(ms: number, signal: AbortSignal): Promise<boolean> {
  await sleep(ms, undefined, { signal }).catch(() => {})
  return !signal.aborted
}

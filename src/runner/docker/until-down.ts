import type { Cause } from '../cause.ts'
import type { Container } from '../config/config.ts'
import { probe } from '../health/probe.ts'
import { type Inspected, inspect } from './container.ts'
import { causeOfDeath, outOfMemoryCause } from './death.ts'
import type { DiskWatch } from './disk-watch.ts'
import { EngineError } from './engine.ts'
import { insist } from './insist.ts'
import type { KeepOptions } from './keep.ts'
import { takeDown, untilOverstep } from './overstep.ts'

/** What is kept, however often it goes down. */
export type Kept = { container: Container; diskWatch: DiskWatch }

export type Running = { id: string; name: string; containerId: string; baseUrl: string }

/**
 * Resolves with the cause when a container has stopped, or had to be and was stopped, and with null when the signal aborts.
 * @throws what the engine failed by, where the container does not answer either.
 */
export async function untilDown(options: KeepOptions, kept: Kept, running: Running): Promise<Cause | null> {
  const { containers, renewals } = options
  const { id } = running
  const over = new AbortController()
  const watching = { ...options, signal: AbortSignal.any([options.signal, over.signal]) }
  const ended = untilEnd(watching, kept, running).then(cause => ({ cause, runsOn: false }))
  const overstepped = untilOverstep(watching, kept).then(cause => ({ cause, runsOn: true }))
  const broken = renewals.asked(id, watching.signal).then(cause => ({ cause, runsOn: true }))
  const { cause, runsOn } = await Promise.race([ended, overstepped, broken]).finally(() => over.abort())
  if (cause === null || !runsOn) return cause
  // Told before it is done: the jobs in its hands are about to fail.
  containers.change(id, { health: 'unhealthy', cause })
  await insist(id, () => takeDown(options, running, cause), options)
  renewals.done(id)
  return cause
}

/** As `untilDown`, of a container that nobody has to stop. */
async function untilEnd(options: KeepOptions, { container }: Kept, running: Running): Promise<Cause | null> {
  const { engine, events, containers, signal } = options
  const { id, name, containerId } = running
  let startedAt: string | null = null
  let outOfMemoryAt = events.outOfMemoryAt(containerId)

  /** Null while it runs. */
  async function judge(found: Inspected | null): Promise<Cause | null> {
    if (found === null) return { code: 'exited', detail: 'it was removed' }
    if (found.Id !== containerId) return { code: 'exited', detail: 'somebody else has replaced it' }
    const { Running: isRunning, Paused: isPaused, StartedAt } = found.State
    const lastOutOfMemoryAt = events.outOfMemoryAt(containerId)
    const heard = { outOfMemoryAt: lastOutOfMemoryAt, since: events.heardSince() }
    if (!isRunning) return await causeOfDeath(engine, found, heard)
    startedAt ??= StartedAt
    if (StartedAt !== startedAt) return { code: 'exited', detail: 'somebody else has restarted it' }
    if (isPaused) return { code: 'not_ready', detail: 'somebody else has paused it' }
    // The kernel has killed a process in it, and it goes on.
    if (lastOutOfMemoryAt !== outOfMemoryAt) containers.blame(id, outOfMemoryCause(found.HostConfig.Memory))
    outOfMemoryAt = lastOutOfMemoryAt
    return null
  }

  while (!signal.aborted) {
    const seen = events.count(name)
    const found = await inspectOrCall(options, container, running)
    if (signal.aborted) return null
    const cause = found === 'unknown' ? null : await judge(found)
    if (cause !== null) return cause
    await events.next(name, seen, signal)
  }
  return null
}

/** `unknown`: the engine is away, and the container runs on. */
async function inspectOrCall(
  { engine, agent }: KeepOptions,
  container: Container,
  { name, baseUrl }: Running,
): Promise<Inspected | null | 'unknown'> {
  try {
    return await inspect(engine, name)
  } catch (error) {
    if (error instanceof EngineError) throw error
    if ((await probe(baseUrl, { container, agent })).state !== 'ready') throw error
    return 'unknown'
  }
}

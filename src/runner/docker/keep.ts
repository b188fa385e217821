import type { Agent } from 'undici'
import { createBackoff } from '../backoff.ts'
import { type Cause, causeOf } from '../cause.ts'
import type { Config, Container } from '../config/config.ts'
import type { Confinement } from '../confine/confine.ts'
import type { Containers } from '../containers.ts'
import type { Drain } from '../drain.ts'
import type { Devices } from '../gpu/devices.ts'
import type { Log } from '../log.ts'
import { sleep } from '../sleep.ts'
import { createTrouble } from '../trouble.ts'
import { bringUp, prepare } from './bring-up.ts'
import { diskUse } from './disk-use.ts'
import { createDiskWatch } from './disk-watch.ts'
import type { Engine } from './engine.ts'
import type { Events } from './events.ts'
import type { Relief } from './relief.ts'
import type { Renewals } from './renewals.ts'
import { scopeOf } from './scope.ts'
import { nameOf } from './spec.ts'
import { untilStopped } from './stop.ts'
import { untilDown } from './until-down.ts'

export type KeepOptions = {
  engine: Engine
  events: Events
  config: Config
  confinement: Confinement
  relief: Pick<Relief, 'excessOf'>
  containers: Containers
  drain: Drain
  agent: Agent
  /** The GPUs that a container gets; throws when it cannot have them. */
  devicesOf: (container: Container) => Promise<Devices>
  /** Resolves when nothing is left of earlier processes that nobody wants: it may have the port, or the GPU. */
  clear: () => Promise<void>
  /** What ran in its place under another configuration is gone, or goes on as one of this. Called each time that it is brought up. */
  onGone: () => void
  renewals: Renewals
  log: Log
  /** Nobody keeps it under this configuration any more. */
  signal: AbortSignal
  /** The runner ends. What is to be taken down is, until then, whatever the configuration. */
  ending: AbortSignal
}

/** Takes a container over from whoever keeps it under its last configuration. */
export type Heir = { takeOver: () => Promise<void> }

/** A container that has been up so long is not in a crash loop. */
const stableMs = 60_000
/** For one that is broken, or may not run. */
const graceSeconds = 5
const restarting = { baseMs: 2_000, capMs: 60_000 }

/**
 * Brings one container up and looks after it until the signal aborts: ready when it answers, unhealthy when it stopped. Each
 * container has a loop of its own, so that a slow pull holds up nobody else. `heir`: somebody keeps it so far, and goes on until the new
 * image is here.
 */
export async function keepContainer(
  options: KeepOptions,
  container: Container,
  heir: Heir | null = null,
): Promise<void> {
  const { engine, config, confinement, events, containers, renewals, log, signal } = options
  const { id } = container
  const name = nameOf(scopeOf(config), id)
  const diskWatch = createDiskWatch({
    limitBytes: container.limits.diskBytes,
    measure: () => diskUse(engine, name),
  })
  const kept = { container, diskWatch }
  const trouble = createTrouble({ log, what: `Starting container ${id}` })
  const backoff = createBackoff(restarting)
  let inARow = 0
  let isMine = heir === null
  let isPulled = false

  async function once(): Promise<Cause | null> {
    try {
      // After a crash it is what ran: a registry that is slow, or away, holds up no restart.
      const wanted = isPulled ? ({ ...container, pull: 'missing' } as const) : container
      const prepared = await prepare(options, wanted, detail => {
        if (isMine) containers.change(id, { health: 'starting', detail })
      })
      isPulled = true
      if (!isMine) await heir?.takeOver()
      isMine = true
      await stopIfBroken()
      const running = await bringUp(options, kept, prepared)
      trouble.over()
      const upAt = performance.now()
      const cause = await untilDown(options, kept, running)
      if (performance.now() - upAt > stableMs) {
        inARow = 0
        backoff.reset()
      }
      if (cause !== null)
        log.warn('Container(s) failed / exited / crashed', { container: id, ...told(cause) })
      return cause
    } catch (error) {
      if (signal.aborted) return null
      trouble.failed(error)
      return await stoppedIfLoose(causeOf(error))
    }
  }

  /** It may run, and have jobs in hand, while the engine did not say so. */
  async function stopIfBroken(): Promise<void> {
    const cause = renewals.causeOf(id)
    if (cause === undefined) return
    containers.change(id, { health: 'unhealthy', cause })
    await untilStopped(id, { ...options, graceSeconds })
    renewals.done(id)
  }

  /** One that an earlier process has left may still run. Whatever it cannot be brought up by, it does not go on where it may not. */
  async function stoppedIfLoose(cause: Cause): Promise<Cause> {
    const refused = isMine ? confinement.refusal(container) : null
    if (refused === null) return cause
    const loose: Cause = { code: 'not_isolated', detail: refused }
    containers.change(id, { health: 'unhealthy', cause: loose })
    await untilStopped(id, { ...options, graceSeconds })
    return loose
  }

  while (!signal.aborted) {
    const seen = events.gaps()
    const cause = await once()
    if (signal.aborted || cause === null) return
    inARow++
    const waitMs = cause.code === 'disk_limit' ? diskWatch.stopped() : backoff.next()
    if (isMine) goDown(containers, id, { cause, inARow, waitMs })
    // An engine that is back has been waited for.
    await (cause.code === 'container_unavailable' ? events.gap(seen, signal, waitMs) : sleep(waitMs, signal))
  }
}

/** Without its last words, which may be of jobs. */
function told({ code, detail }: Cause) {
  return { code, detail }
}

type Down = { cause: Cause; inARow: number; waitMs: number }

function goDown(containers: Containers, id: string, { cause, inARow, waitMs }: Down): void {
  const again = inARow > 1 ? ` (${inARow} times in a row, tried again in ${Math.ceil(waitMs / 1000)} s)` : ''
  containers.change(id, { health: 'unhealthy', cause, detail: `${cause.detail}${again}` })
}

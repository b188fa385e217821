import { type Cause, causeOf } from '../cause.ts'
import type { Config } from '../config/config.ts'
import type { Containers } from '../containers.ts'
import type { Log } from '../log.ts'
import { messageOf } from '../trouble.ts'
import { remove, stop } from './container.ts'
import type { Engine } from './engine.ts'
import { scopeOf } from './scope.ts'
import { nameOf } from './spec.ts'

export type StopOptions = { engine: Engine; config: Pick<Config, 'spool'>; log: Log; graceSeconds: number }

/** Stops containers of this runner, side by side. They stay, stopped, for the next start. */
export async function stopContainers(ids: readonly string[], options: StopOptions): Promise<void> {
  const { engine, config, log, graceSeconds } = options
  await Promise.all(
    ids.map(id =>
      stop(engine, nameOf(scopeOf(config), id), graceSeconds).catch((error: unknown) =>
        log.warn('A container could not be stopped', { container: id, error: messageOf(error) }),
      ),
    ),
  )
}

/** Stops one, and removes it. */
export async function removeContainer(id: string, options: StopOptions): Promise<void> {
  const { engine, config, log } = options
  await stopContainers([id], options)
  await remove(engine, nameOf(scopeOf(config), id)).catch((error: unknown) =>
    log.warn('A container could not be removed', { container: id, error: messageOf(error) }),
  )
}

/**
 * Has a container started anew that something has broken while it ran: it is stopped, and whoever keeps it brings it up again. One that will
 * not die stays out of service.
 */
export async function renewContainer(
  id: string,
  cause: Cause,
  { containers, ...options }: StopOptions & { containers: Containers },
): Promise<void> {
  const { engine, config, log, graceSeconds } = options
  containers.change(id, { health: 'unhealthy', cause })
  await stop(engine, nameOf(scopeOf(config), id), graceSeconds).catch((error: unknown) => {
    containers.change(id, { health: 'unhealthy', cause: causeOf(error) })
    log.warn('A container could not be started anew', { container: id, error: messageOf(error) })
  })
}

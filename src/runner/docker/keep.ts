import { createHash } from 'node:crypto'
import type { Agent } from 'undici'
import { createBackoff } from '../backoff.ts'
import { type Config, type Container, localUrl } from '../config/config.ts'
import type { Containers } from '../containers.ts'
import type { Log } from '../log.ts'
import { sleep } from '../sleep.ts'
import { createTrouble, messageOf } from '../trouble.ts'
import { answersHttp } from './answers.ts'
import { ensureRunning, inspect, stop } from './container.ts'
import type { Engine } from './engine.ts'
import { hostIp } from './host-ip.ts'
import { ensureImage } from './image.ts'
import { nameOf, specOf } from './spec.ts'

export type KeepOptions = {
  engine: Engine
  config: Config
  containers: Containers
  agent: Agent
  log: Log
  signal: AbortSignal
}

const watchMs = 10_000

/**
 * Names in Docker begin with this. Two runners on one engine differ in it unless they share a spool, which is locked, or are in
 * containers and see their spools at the same path.
 */
export function scopeOf(config: Config): string {
  return createHash('sha256').update(config.spool.directory).digest('hex').slice(0, 8)
}

/**
 * Brings one container up and looks after it until the signal aborts: ready when it answers, unhealthy when it stopped. Each
 * container has a loop of its own, so that a slow pull holds up nobody else.
 */
export async function keepContainer(options: KeepOptions, container: Container): Promise<void> {
  const { engine, containers, log, signal } = options
  const { id } = container
  const trouble = createTrouble({ log, what: `Starting container ${id}` })
  const backoff = createBackoff({ baseMs: 2_000, capMs: 60_000 })
  while (!signal.aborted) {
    try {
      const name = await bringUp(options, container)
      trouble.over()
      backoff.reset()
      while (!signal.aborted && (await isRunning(engine, name))) await sleep(watchMs, signal)
      if (signal.aborted) return
      containers.change(id, { health: 'unhealthy', detail: 'it stopped' })
      log.warn('Container(s) failed / exited / crashed', { container: id })
    } catch (error) {
      if (signal.aborted) return
      containers.change(id, { health: 'unhealthy', detail: messageOf(error) })
      trouble.failed(error)
    }
    await sleep(backoff.next(), signal)
  }
}

async function bringUp(
  { engine, config, containers, agent, log, signal }: KeepOptions,
  container: Container,
): Promise<string> {
  const { id, port, startTimeoutMs } = container
  const imageId = await ensureImage(engine, { container, credentials: config.docker, log, signal })
  const spec = specOf({
    container,
    imageId,
    scope: scopeOf(config),
    hostIp: await hostIp(engine, config.inDocker),
  })
  const started = await ensureRunning(engine, { spec, port, log })
  const baseUrl = localUrl(started.port, config.inDocker).replace('//localhost', '//127.0.0.1')
  if (!(await answersHttp(baseUrl, { agent, withinMs: startTimeoutMs, signal }))) {
    if (!signal.aborted) await stop(engine, started.id, 5)
    throw new Error(`It did not answer HTTP on port 3000 within ${startTimeoutMs / 1000} s`)
  }
  const wasDown = containers.get(id)?.health === 'unhealthy'
  containers.change(id, { health: 'ready', baseUrl })
  log.info(wasDown ? 'Container(s) back up' : 'Container is ready', { container: id, port: started.port })
  return spec.name
}

async function isRunning(engine: Engine, name: string): Promise<boolean> {
  return (await inspect(engine, name))?.State.Running ?? false
}

/** Stops this runner's containers, side by side. They stay, stopped, for the next start. */
export async function stopContainers(
  { engine, config, containers, log }: KeepOptions,
  graceSeconds: number,
): Promise<void> {
  const managed = containers.all().filter(target => target.config.managed)
  await Promise.all(
    managed.map(({ config: { id } }) =>
      stop(engine, nameOf(scopeOf(config), id), graceSeconds).catch((error: unknown) =>
        log.warn('A container could not be stopped', { container: id, error: messageOf(error) }),
      ),
    ),
  )
}

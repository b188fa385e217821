import { causeOf, DownError } from '../cause.ts'
import { type Container, localUrl } from '../config/config.ts'
import { type Probed, wordsOf } from '../health/probe.ts'
import { untilReady } from '../health/ready.ts'
import { ensureRunning } from './container.ts'
import { hostIp } from './host-ip.ts'
import { type EnsuredImage, ensureImage } from './image.ts'
import type { KeepOptions } from './keep.ts'
import { mostWritten } from './relief.ts'
import { scopeOf } from './scope.ts'
import { type Spec, specOf } from './spec.ts'
import { removeOwn, untilStopped } from './stop.ts'
import { type Kept, type Running, untilDown } from './until-down.ts'
import { usualMemory } from './usual-memory.ts'

/** For one that does not answer in time. */
const graceSeconds = 5

export type Prepared = { spec: Spec; image: EnsuredImage }

/** What it takes to start a container. `onProgress`: while its image is pulled. @throws as `bringUp` */
export async function prepare(
  options: KeepOptions,
  container: Container,
  onProgress: (detail: string) => void,
): Promise<Prepared> {
  const { engine, config, confinement, devicesOf, clear, log, signal } = options
  await clear()
  await makeWay(options, container)
  const devices = await unlessAborted(signal, devicesOf(container))
  // Before a pull that may take long: what runs already may not go on where it is not isolated.
  const standing = await confinement.place(container)
  const image = await ensureImage(engine, { container, config, log, onProgress, signal })
  const spec = specOf({
    container,
    imageId: image.id,
    scope: scopeOf(config),
    hostIp: await hostIp(engine, config.inDocker),
    devices,
    usualMemoryBytes: container.limits.memoryBytes === null ? await usualMemory(engine) : null,
    standing,
  })
  return { image, spec }
}

/**
 * One that has filled the disk may have crashed of that, and not start because of it: nobody watches it, and its files are in the way of all
 * the others. What runs under an earlier configuration has its own keeper.
 * @throws DownError `disk_limit`
 */
async function makeWay(
  { engine, config, containers, relief }: KeepOptions,
  { id }: Container,
): Promise<void> {
  if (containers.itself(id)?.health !== 'unhealthy') return
  const bytes = relief.excessOf(id)
  if (bytes === null) return
  const full = new DownError('disk_limit', mostWritten(bytes))
  // It may run, and have jobs in hand, while the engine does not say so.
  containers.change(id, { health: 'unhealthy', cause: causeOf(full) })
  await removeOwn(id, { engine, config })
  throw full
}

/** A driver that hangs is asked for half a minute, and holds up no end. @throws the signal's reason */
async function unlessAborted<T>(signal: AbortSignal, asked: Promise<T>): Promise<T> {
  return await new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    asked.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Has a container running, and ready. @throws DownError, EngineError, or a socket error */
export async function bringUp(options: KeepOptions, kept: Kept, { spec, image }: Prepared): Promise<Running> {
  const { engine, config, containers, drain, onGone, log, signal } = options
  const { id, port, startTimeoutMs } = kept.container
  const before = containers.itself(id)
  const wasDown = before?.health === 'unhealthy'
  let reopen = () => {}
  try {
    const started = await ensureRunning(engine, {
      spec,
      port,
      isContested: isContested(kept.container, config.containers),
      startTimeoutMs,
      log,
      signal,
      onGone,
      async onReplace() {
        reopen = await drain(id)
        signal.throwIfAborted()
        containers.change(id, { health: 'starting', detail: 'it is being replaced' })
      },
    })
    const baseUrl = localUrl(started.port, config.inDocker).replace('//localhost', '//127.0.0.1')
    const running = { id, name: spec.name, containerId: started.id, baseUrl }
    // One that runs and is busy need not answer in time.
    const isUp = !started.isNew && containers.itself(id)?.health === 'ready'
    if (!isUp) {
      // What it was down by is worth knowing until it is up.
      const detail = wasDown ? before.detail : undefined
      containers.change(id, {
        health: 'starting',
        baseUrl,
        dockerId: started.id,
        ...(detail !== undefined && { detail }),
      })
      await untilUp(options, kept, { ...running, isNew: started.isNew })
    }
    containers.change(id, { health: 'ready', baseUrl, image: image.name, dockerId: started.id })
    if (!isUp)
      log.info(wasDown ? 'Container(s) back up' : 'Container is ready', { container: id, port: started.port })
    return running
  } finally {
    reopen()
  }
}

function isContested({ id, port, wantedPort }: Container, all: readonly Container[]): boolean {
  const others = all.filter(other => other.managed && other.id !== id)
  return port !== wantedPort || others.some(other => other.wantedPort === wantedPort)
}

/**
 * Resolves when it is ready. `isNew`: it has had no job since it was started.
 * @throws DownError when it ends before, or is not ready in time; it is stopped then.
 */
async function untilUp(
  options: KeepOptions,
  kept: Kept,
  { isNew, ...running }: Running & { isNew: boolean },
): Promise<void> {
  const { agent } = options
  const { container } = kept
  const { startTimeoutMs: startMs, readyTimeoutMs: readyMs } = container
  const over = new AbortController()
  const signal = AbortSignal.any([options.signal, over.signal])
  const found = untilReady(running.baseUrl, { container, agent, startMs, readyMs, signal })
  const down = untilDown({ ...options, signal }, kept, running)
  await Promise.race([found, down]).finally(() => over.abort())
  // One that is just being stopped may still answer: it is stopped all the same.
  const cause = await down
  options.signal.throwIfAborted()
  if (cause !== null) throw new DownError(cause.code, cause.detail)
  const outcome = await found
  if (outcome.state === 'ready') return
  await untilStopped(running.id, { ...options, graceSeconds })
  if (outcome.state === 'failed') throw new DownError('not_ready', isNew ? wordsOf(outcome) : outcome.detail)
  throw unready(container, outcome)
}

function unready(
  { innerPort, startTimeoutMs, readyTimeoutMs }: Container,
  { state, detail }: Extract<Probed, { state: 'silent' | 'loading' }>,
): DownError {
  if (state === 'loading')
    return new DownError(
      'not_ready',
      `It was not ready within ${readyTimeoutMs / 1000} s, and answered ${detail.replace(/^status /, '')}`,
    )
  return new DownError(
    'start_timeout',
    `It did not answer HTTP on port ${innerPort} within ${startTimeoutMs / 1000} s`,
  )
}

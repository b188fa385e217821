import { DownError } from '../cause.ts'
import { type Container, localUrl } from '../config/config.ts'
import { type Probed, wordsOf } from '../health/probe.ts'
import { untilReady } from '../health/ready.ts'
import { ensureRunning, stop } from './container.ts'
import { hostIp } from './host-ip.ts'
import { type EnsuredImage, ensureImage } from './image.ts'
import type { KeepOptions } from './keep.ts'
import { scopeOf } from './scope.ts'
import { type Spec, specOf } from './spec.ts'
import { type Kept, type Running, untilDown } from './until-down.ts'

/** For one that does not answer in time. */
const graceSeconds = 5

export type Prepared = { spec: Spec; image: EnsuredImage }

/** What it takes to start a container. `onProgress`: while its image is pulled. @throws as `bringUp` */
export async function prepare(
  { engine, config, confinement, devicesOf, clear, log, signal }: KeepOptions,
  container: Container,
  onProgress: (detail: string) => void,
): Promise<Prepared> {
  await clear()
  const devices = await unlessAborted(signal, devicesOf(container))
  const image = await ensureImage(engine, { container, config, log, onProgress, signal })
  const spec = specOf({
    container,
    imageId: image.id,
    scope: scopeOf(config),
    hostIp: await hostIp(engine, config.inDocker),
    devices,
    standing: await confinement.place(container),
  })
  return { image, spec }
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
  const before = containers.get(id)
  const wasDown = before?.health === 'unhealthy'
  let reopen = () => {}
  try {
    const started = await ensureRunning(engine, {
      spec,
      port,
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
    const isUp = !started.isNew && containers.get(id)?.health === 'ready'
    if (!isUp) {
      // What it was down by is worth knowing until it is up.
      const detail = wasDown ? before.detail : undefined
      containers.change(id, { health: 'starting', baseUrl, ...(detail !== undefined && { detail }) })
      await untilUp(options, kept, { ...running, isNew: started.isNew })
    }
    containers.change(id, { health: 'ready', baseUrl, image: image.name })
    if (!isUp)
      log.info(wasDown ? 'Container(s) back up' : 'Container is ready', { container: id, port: started.port })
    return running
  } finally {
    reopen()
  }
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
  const { engine, agent } = options
  const { container } = kept
  const { startTimeoutMs: startMs, readyTimeoutMs: readyMs } = container
  const over = new AbortController()
  const signal = AbortSignal.any([options.signal, over.signal])
  const found = untilReady(running.baseUrl, { container, agent, startMs, readyMs, signal })
  const down = untilDown({ ...options, signal }, kept, running)
  const outcome = await Promise.race([found, down]).finally(() => over.abort())
  options.signal.throwIfAborted()
  if (outcome === null) return
  if ('code' in outcome) throw new DownError(outcome.code, outcome.detail)
  if (outcome.state === 'ready') return
  await stop(engine, running.containerId, graceSeconds)
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

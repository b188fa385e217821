import { randomUUID } from 'node:crypto'
import { aborted } from './aborted.ts'
import type { Config } from './config/config.ts'
import type { Patience } from './docker/stop.ts'
import type { Tls } from './docker/tls.ts'
import type { FitnessPace } from './fitness/fitness.ts'
import type { RunnerKey } from './key/key.ts'
import type { Log } from './log.ts'
import { type Parts, startParts } from './parts.ts'
import { settledAtStart, unchangeable } from './reload.ts'
import { openSpool, type Spool } from './spool/spool.ts'
import type { Metrics } from './status/metrics.ts'
import { readStatus } from './status/read.ts'
import type { RunnerStatus } from './status/status.ts'
import { type Bounds, bounds as usualBounds } from './stream/bounds.ts'

export type Runner = {
  /** Of this process; leases belong to it. */
  readonly instance: string
  /** Begins, once; resolves when the loops run, the edge reached or not. Throws `LockedError` when the spool is another's. */
  start(): Promise<void>
  /** Resolves once the edge has registered the runner and every container is ready. */
  readonly ready: Promise<void>
  /**
   * Has the containers as another configuration says, from here on; what cannot be changed on the run is told in the log. Changes nothing
   * once the runner ends.
   */
  reload(config: Config): void
  /** Claims nothing more, finishes the jobs in hand within `drain_timeout`, reports them, and ends. */
  drain(): Promise<void>
  /**
   * Ends at once. Finished results stay in the spool; the edge gives out the jobs in hand again when their leases lapse. While containers are
   * being stopped: kills them.
   */
  stop(): Promise<void>
  /** The state of this moment. Null before `start`. */
  status(): RunnerStatus | null
  /** Null before `start`. */
  readonly metrics: Metrics | null
  /** Resolves when the runner has ended, by `drain`, `stop`, or an order of the edge. */
  readonly ended: Promise<void>
}

export type RunnerOptions = {
  config: Config
  key: RunnerKey
  log: Log
  /** Where Docker's engine is, as `DOCKER_HOST` says it. */
  dockerHost?: string | undefined
  /** How it is spoken to over TCP; null: in the clear. */
  dockerTls?: Tls | null
  /** How long results left over are waited for, at the start and after a gap, before claims begin. */
  recoverMs?: number
  /** Of streaming jobs, where they differ from the usual ones. */
  bounds?: Partial<Bounds>
  /** How often the host is looked at, where it differs from the usual. */
  fitnessPace?: FitnessPace
}

/** For the last report, beyond the drain itself. */
const flushMs = 10_000
/** For jobs to notice that they are cut off. */
const cutOffMs = 1_000
/** Given to containers to end by themselves: after a drain nothing runs in them; at once means at once. */
const stopGraceSeconds = { drain: 10, stop: 1 } as const

export function createRunner({
  config: atStart,
  key,
  log,
  dockerHost,
  dockerTls = null,
  recoverMs = 30_000,
  bounds: unusual = {},
  fitnessPace,
}: RunnerOptions): Runner {
  const bounds = { ...usualBounds, partMs: atStart.streamPartMs, ...unusual }
  let config = atStart
  const instance = randomUUID()
  const madeAt = performance.now()
  const claiming = new AbortController()
  const running = new AbortController()
  const hurrying = new AbortController()
  const ready = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  let starting: Promise<void> | null = null
  let begun: { parts: Parts; spool: Spool } | null = null
  let ending: Promise<void> | null = null
  let graceSeconds: number = stopGraceSeconds.drain
  let isStopping = false

  function start(): Promise<void> {
    starting = begin()
    return starting
  }

  async function begin(): Promise<void> {
    const spool = await openSpool(config.spool.directory, { instance, log, bounds })
    if (spool.left.length > 0)
      log.info('Results of an earlier process are in the spool', { results: spool.left.length })
    // Told to end while the spool was read: nothing is begun, and what an earlier process has left is stopped.
    if (claiming.signal.aborted) running.abort(claiming.signal.reason)
    let registered = false
    const parts = startParts({
      config,
      key,
      log,
      dockerHost,
      dockerTls,
      instance,
      spool,
      claiming: claiming.signal,
      running: running.signal,
      onRegistered() {
        registered = true
        check()
      },
      onDrain: () => void drain(),
      flushMs: recoverMs,
      bounds,
      fitnessPace,
    })
    const check = () => {
      if (registered && parts.containers.all().every(({ health }) => health === 'ready')) ready.resolve()
    }
    parts.containers.watch(check)
    begun = { parts, spool }
  }

  function reload(next: Config): void {
    // Nothing is begun any more, and what it has is about to be stopped.
    if (claiming.signal.aborted) {
      log.warn('The runner ends: its configuration takes effect at the next start')
      return
    }
    for (const what of unchangeable(config, next)) log.warn(`${what} takes effect at the next start`)
    config = settledAtStart(config, next)
    begun?.parts.reload(config)
  }

  function drain(): Promise<void> {
    claiming.abort('drain')
    ending ??= end()
    return ending
  }

  function stop(): Promise<void> {
    claiming.abort('stop')
    graceSeconds = stopGraceSeconds.stop
    if (isStopping) hurrying.abort()
    running.abort('stop')
    ending ??= end()
    return ending
  }

  /** The same steps for both: an aborted `running` makes every wait return at once. */
  async function end(): Promise<void> {
    // Whoever called for the start is told what it fails by.
    await starting?.catch(() => {})
    if (begun !== null) {
      await finish(begun.parts)
      await close(begun.parts, begun.spool)
    }
    ended.resolve()
  }

  async function finish({ claimed, leases, progress, reporter }: Parts): Promise<void> {
    await Promise.race([claimed, aborted(running.signal)])
    const patience = AbortSignal.any([running.signal, AbortSignal.timeout(config.drainTimeoutMs)])
    while (leases.unfinished() > 0 && !patience.aborted) await progress.wait(patience)
    if (leases.unfinished() > 0) {
      log.warn('Jobs were cut off; the edge gives them out again', { jobs: leases.unfinished() })
      leases.stopAll('stopped')
      const moment = AbortSignal.timeout(cutOffMs)
      while (leases.unfinished() > 0 && !moment.aborted) await progress.wait(moment)
    }
    await reporter.flushed(AbortSignal.any([running.signal, AbortSignal.timeout(flushMs)]))
  }

  async function close(parts: Parts, spool: Spool): Promise<void> {
    const { edge, agent, engine, fleet, heartbeat, reporter, spooled } = parts
    running.abort('stop')
    // What is being written when the end is called is a finished result too.
    await spooled
    await reporter.save()
    await heartbeat.stop()
    if (!config.keepRunning) await fleet.stop(beginToStop)
    await Promise.all([edge.close(), agent.destroy(), engine.close()])
    await spool.close()
  }

  function beginToStop(): Patience {
    isStopping = true
    return { graceSeconds, hurry: hurrying.signal }
  }

  return {
    instance,
    start,
    ready: ready.promise,
    reload,
    drain,
    stop,
    status: () => begun && readStatus(begun.parts.sources, { uptimeMs: performance.now() - madeAt }),
    get metrics() {
      return begun?.parts.metrics ?? null
    },
    ended: ended.promise,
  }
}

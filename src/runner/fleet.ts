import type { Cause } from './cause.ts'
import type { Config, Container } from './config/config.ts'
import { type KeepOptions, keepContainer } from './docker/keep.ts'
import { removeLeftovers } from './docker/leftovers.ts'
import { isMadeAlike } from './docker/spec.ts'
import { removeContainer, renewContainer, stopContainers } from './docker/stop.ts'
import type { Gpus } from './gpu/gpus.ts'
import { keepRunning } from './loop.ts'
import type { Reach } from './reach.ts'
import { sleep } from './sleep.ts'
import { messageOf } from './trouble.ts'

/** The containers of a configuration, each looked after by itself. */
export type Fleet = {
  /**
   * Has it so from here on, and resolves when containers that are not wanted any more are gone. One that is the same goes on without a
   * break; one that differs is replaced when its jobs in hand are done.
   */
  apply(config: Config): Promise<void>
  /** Has a container started anew that something has broken while it ran. */
  renew(id: string, cause: Cause): Promise<void>
  /** Once its signal has aborted: stops what Docker runs for it, and takes its firewall rules away. */
  stop(graceSeconds: number): Promise<void>
}

export type FleetOptions = Omit<KeepOptions, 'config' | 'devicesOf' | 'clear' | 'onGone'> & {
  reach: Reach
  gpus: Pick<Gpus, 'configure' | 'devicesOf'>
}

type Kept = { container: Container; end: () => Promise<void> }

/** For a container that is not wanted any more, whose jobs are done. */
const retireGraceSeconds = 10
/** For one that is broken. */
const renewGraceSeconds = 5
/** For what the engine is at when the runner ends: a container that is being started cannot be stopped before it has. */
const settleMs = 10_000

export function createFleet(options: FleetOptions): Fleet {
  const { engine, containers, confinement, gpus, drain, reach, log } = options
  const { devicesOf } = gpus
  const kept = new Map<string, Kept>()
  /** By id, those that are not wanted any more; `gone` resolves when it is gone. */
  const leaving = new Map<string, { container: Container; gone: Promise<void> }>()
  /** Loops that have not ended. */
  const loops = new Set<Promise<void>>()
  let current: Config | null = null
  /** By id, the configuration that is to replace what runs. */
  const replacing = new Map<string, Config>()
  /** Docker has run something for it. */
  let hasManaged = false
  let cleared: Promise<void> | null = null

  /** Gives out networks, firewall rules and GPUs. A container that is leaving, or is replaced, keeps its own until it is gone. */
  function settle(config: Config): void {
    const wanted = new Set(config.containers.map(({ id }) => id))
    const staying = [...leaving.values()].map(({ container }) => container)
    const there = [...config.containers, ...staying.filter(({ id }) => !wanted.has(id))]
    const managed = there.filter(container => container.managed)
    if (managed.length > 0) hasManaged = true
    confinement.configure(config, there)
    gpus.configure(managed, new Set([...leaving.keys(), ...replacing.keys()]))
  }

  /** Ends what earlier processes have left: once, but for an engine that cannot be asked. */
  function clear(): Promise<void> {
    cleared ??= removeLeft().catch((error: unknown) => {
      cleared = null
      throw error
    })
    return cleared
  }

  async function removeLeft(): Promise<void> {
    if (current === null) return
    const isWanted = (id: string) =>
      leaving.has(id) || current?.containers.some(container => container.managed && container.id === id)
    const left = await removeLeftovers(id => isWanted(id) ?? false, {
      engine,
      config: current,
      log,
      graceSeconds: retireGraceSeconds,
    })
    if (left > 0) hasManaged = true
  }

  /** `before`: who keeps it under its last configuration. */
  function keep(config: Config, container: Container, before: Kept | null): Kept {
    const controller = new AbortController()
    const signal = AbortSignal.any([options.signal, controller.signal])
    let last = before
    const takeOver = async () => {
      await last?.end()
      last = null
    }
    const onGone = () => inherit(config, container)
    const loop = () =>
      keepContainer(
        { ...options, devicesOf, clear, onGone, config, signal },
        container,
        last === null ? null : { takeOver },
      )
    const done = keepRunning('container', loop, { log, signal })
    loops.add(done)
    void done.then(() => loops.delete(done))
    return {
      container,
      async end() {
        controller.abort()
        await takeOver()
        await done
      },
    }
  }

  function begin(config: Config, container: Container): void {
    containers.configure(container)
    if (container.managed) return void kept.set(container.id, keep(config, container, null))
    kept.set(container.id, { container, end: async () => {} })
    const target = containers.get(container.id)
    if (target !== undefined) reach.seek(target)
  }

  /** What was in the place of a container is gone: now it is called, and GPUs are given out, as it is configured. */
  function inherit(config: Config, container: Container): void {
    if (replacing.get(container.id) !== config) return
    replacing.delete(container.id)
    containers.configure(container)
    if (current !== null) settle(current)
  }

  function succeed(config: Config, container: Container, old: Kept): void {
    // Calls in hand end where they were begun.
    if (!container.managed && container.baseUrl !== old.container.baseUrl) containers.remove(container.id)
    // What runs is called as it was configured until it is gone.
    const running = containers.get(container.id)?.config
    if (!container.managed || running === undefined || isMadeAlike(container, running))
      containers.configure(container)
    kept.set(container.id, container.managed ? keep(config, container, old) : { ...old, container })
    const target = containers.get(container.id)
    if (!container.managed && target?.health !== 'ready' && target !== undefined) reach.seek(target)
  }

  async function retire(config: Config, { container: { id, managed }, end }: Kept): Promise<void> {
    kept.delete(id)
    log.info('Container is not wanted any more', { container: id })
    const reopen = await drain(id)
    // The runner itself ends, and stops all that it has.
    if (options.signal.aborted) return
    await end()
    if (managed) await removeContainer(id, { engine, config, log, graceSeconds: retireGraceSeconds })
    containers.remove(id)
    reopen()
  }

  function leave(config: Config, old: Kept): void {
    const { container } = old
    const gone = retire(config, old).finally(() => {
      leaving.delete(container.id)
      replacing.delete(container.id)
      if (current !== null) settle(current)
    })
    leaving.set(container.id, { container, gone })
  }

  async function apply(config: Config): Promise<void> {
    const before = current ?? config
    current = config
    // Who brings containers up tells what it fails by. Where there are none, there may be no Docker.
    void clear().catch((error: unknown) =>
      log.debug('What an earlier process has left was not looked for', { error: messageOf(error) }),
    )
    const wanted = new Map(config.containers.map(container => [container.id, container]))
    for (const old of [...kept.values()]) {
      const next = wanted.get(old.container.id)
      if (next === undefined || next.managed !== old.container.managed) leave(before, old)
      else if (next.managed) replacing.set(next.id, config)
    }
    settle(config)
    for (const container of config.containers) {
      const old = kept.get(container.id)
      const gone = leaving.get(container.id)?.gone
      if (gone !== undefined) void gone.then(() => current === config && begin(config, container))
      else if (old === undefined) begin(config, container)
      else succeed(config, container, old)
    }
    await Promise.all([...leaving.values()].map(({ gone }) => gone))
  }

  /** Whether nothing is done to any container any more. An engine that hangs is given up. */
  async function settled(): Promise<boolean> {
    const gone = [...leaving.values()].map(one => one.gone)
    const all = Promise.all([...loops, ...gone, cleared?.catch(() => {})])
    return await Promise.race([all.then(() => true), sleep(settleMs).then(() => false)])
  }

  return {
    apply,
    async renew(id, cause) {
      if (current !== null)
        await renewContainer(id, cause, {
          engine,
          config: current,
          containers,
          log,
          graceSeconds: renewGraceSeconds,
        })
    },
    async stop(graceSeconds) {
      const config = current
      if (config === null) return
      const isSettled = await settled()
      const managed = containers.all().filter(target => target.config.managed)
      await stopContainers(
        managed.map(target => target.config.id),
        { engine, config, log, graceSeconds },
      )
      if (!hasManaged) return
      // Whatever the engine starts after all has its rules.
      if (!isSettled) return log.warn('The firewall rules stay', { error: 'Docker is still at a container' })
      await confinement
        .end()
        .catch((error: unknown) => log.warn('The firewall rules stay', { error: messageOf(error) }))
    },
  }
}

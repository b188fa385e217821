import type { Cause } from './cause.ts'
import type { Config, Container } from './config/config.ts'
import { gpusInUse } from './docker/gpus-in-use.ts'
import { type KeepOptions, keepContainer } from './docker/keep.ts'
import { removeLeftovers } from './docker/leftovers.ts'
import { createRenewals } from './docker/renewals.ts'
import { scopeOf } from './docker/scope.ts'
import { isMadeAlike } from './docker/spec.ts'
import { type Patience, stopContainers, untilGone } from './docker/stop.ts'
import { type Devices, GpuError } from './gpu/devices.ts'
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
  renew(id: string, cause: Cause): void
  /**
   * Once its signal has aborted: stops what Docker runs for it, and takes its firewall rules away. `begin`: called when the first container
   * is about to be told.
   */
  stop(begin: () => Patience): Promise<void>
}

export type FleetOptions = Omit<
  KeepOptions,
  'config' | 'devicesOf' | 'clear' | 'onGone' | 'renewals' | 'ending'
> & {
  reach: Reach
  gpus: Pick<Gpus, 'configure' | 'hold' | 'devicesOf'>
}

type Kept = { container: Container; end: () => Promise<void> }

/** For a container that is not wanted any more, whose jobs are done. */
const retireGraceSeconds = 10
/** For what the engine is at when the runner ends: a container that is being started cannot be stopped before it has. */
const settleMs = 10_000

export function createFleet(options: FleetOptions): Fleet {
  const { engine, containers, confinement, gpus, drain, reach, log, signal: ending } = options
  const renewals = createRenewals()
  const kept = new Map<string, Kept>()
  /** By id, those that are not wanted any more; `gone` resolves when it is gone. Of one that an earlier process has left no more is known. */
  const leaving = new Map<string, { container: Container | null; gone: Promise<void> }>()
  /** Loops that have not ended. */
  const loops = new Set<Promise<void>>()
  let current: Config | null = null
  /** By id, the configuration that is to replace what runs. */
  const replacing = new Map<string, Config>()
  /** Docker has run something for it. */
  let hasManaged = false
  let cleared: Promise<void> | null = null
  /** Ids of containers that have GPUs of an earlier process, and of those that were brought up since. */
  const [inherited, renewed] = [new Set<string>(), new Set<string>()]
  let hasCounted = false
  let counting: Promise<void> | null = null

  /** Gives out networks, firewall rules and GPUs. A container that is leaving, or is replaced, keeps its own until it is gone. */
  function settle(config: Config): void {
    // One that is started here again is on the networks of the one that leaves.
    const again = new Set(config.containers.flatMap(({ id, managed }) => (managed ? [id] : [])))
    const staying = [...leaving.values()].flatMap(({ container }) => container ?? [])
    const there = [...config.containers, ...staying.filter(({ id }) => !again.has(id))]
    const managed = there.filter(container => container.managed)
    if (managed.length > 0) hasManaged = true
    confinement.configure(config, there)
    gpus.configure(managed, new Set([...leaving.keys(), ...replacing.keys(), ...inherited]))
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
      leaving.has(id) ||
      (current?.containers.some(container => container.managed && container.id === id) ?? false)
    const stopping = { ...options, config: current, ending, graceSeconds: retireGraceSeconds }
    const { count, stayed } = await removeLeftovers(isWanted, stopping)
    if (count > 0) hasManaged = true
    // One that is wanted by now has its keeper.
    for (const id of stayed) if (!isWanted(id)) depart(id, null, untilGone(id, stopping))
  }

  /** What an earlier process has left, and does not go. */
  function strays(): string[] {
    return [...leaving].flatMap(([id, { container }]) => (container === null ? [id] : []))
  }

  /** Counts the GPUs that containers of earlier processes have as theirs, for as long as these run and are not replaced. */
  function count(): Promise<void> {
    counting ??= countInherited().finally(() => {
      counting = null
    })
    return counting
  }

  async function countInherited(): Promise<void> {
    if (current === null || (hasCounted && inherited.size === 0)) return
    const inUse = await gpusInUse(engine, scopeOf(current))
    // One that wants no GPU any more is replaced meanwhile.
    for (const id of renewed) inUse.delete(id)
    if (!hasCounted) {
      for (const id of inUse.keys()) inherited.add(id)
      gpus.hold(inUse)
      hasCounted = true
    }
    const down = [...inherited].filter(id => !inUse.has(id))
    for (const id of down) inherited.delete(id)
    if (down.length > 0) settle(current)
  }

  /** Which GPUs something has that an earlier process has left, nobody knows. */
  async function devicesOf(container: Container): Promise<Devices> {
    const [stray] = strays()
    if (stray !== undefined && container.gpu !== false)
      throw new GpuError(
        `Container ${stray}, which an earlier process has left, may have its GPUs, and does not go`,
      )
    if (container.gpu !== false) await count()
    return await gpus.devicesOf(container)
  }

  /** `before`: who keeps it under its last configuration. */
  function keep(config: Config, container: Container, before: Kept | null): Kept {
    const controller = new AbortController()
    const signal = AbortSignal.any([ending, controller.signal])
    let last = before
    const takeOver = async () => {
      await last?.end()
      last = null
    }
    const onGone = () => inherit(config, container)
    const loop = () =>
      keepContainer(
        { ...options, devicesOf, clear, onGone, renewals, config, signal, ending },
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
    renewed.add(container.id)
    if (inherited.delete(container.id) && current !== null) settle(current)
    const called = containers.itself(container.id)?.config
    // It runs until a still later configuration has its image here.
    if (called !== undefined && !isMadeAlike(called, container)) containers.configure(container)
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
    if (ending.aborted) return
    await end()
    if (managed) await untilGone(id, { ...options, config, ending, graceSeconds: retireGraceSeconds })
    // It may be there.
    if (ending.aborted) return
    renewals.done(id)
    containers.remove(id)
    reopen()
  }

  function leave(config: Config, old: Kept): void {
    depart(old.container.id, old.container, retire(config, old))
  }

  /**
   * Those that a link joined with one that is gone are made anew without it, once nobody is at its other end: not at whatever reload or
   * start comes next.
   */
  function unlink(gone: Container): void {
    const config = current
    if (config === null || ending.aborted) return
    const neighbours = [...kept.values()].filter(
      ({ container }) => container.managed && areLinked(container, gone),
    )
    for (const { container } of neighbours) replacing.set(container.id, config)
    if (neighbours.length > 0) settle(config)
    for (const old of neighbours) succeed(config, old.container, old)
  }

  /** What a container has is its own until `leaves` resolves. */
  function depart(id: string, container: Container | null, leaves: Promise<void>): void {
    const gone = leaves.finally(() => {
      leaving.delete(id)
      replacing.delete(id)
      inherited.delete(id)
      if (current !== null) settle(current)
      if (container !== null) unlink(container)
    })
    leaving.set(id, { container, gone })
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
    renew: renewals.ask,
    async stop(begin) {
      const config = current
      if (config === null) return
      const isSettled = await settled()
      const managed = containers.all().flatMap(target => (target.config.managed ? [target.config.id] : []))
      await stopContainers([...managed, ...strays()], { ...options, config, ...begin() })
      if (!hasManaged) return
      // Whatever the engine starts after all has its rules.
      if (!isSettled) return log.warn('The firewall rules stay', { error: 'Docker is still at a container' })
      await confinement
        .end()
        .catch((error: unknown) => log.warn('The firewall rules stay', { error: messageOf(error) }))
    },
  }
}

function areLinked(one: Container, other: Container): boolean {
  return one.links.includes(other.id) || other.links.includes(one.id)
}

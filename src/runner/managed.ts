import type { Agent } from 'undici'
import type { Config } from './config/config.ts'
import { createConfinement } from './confine/confine.ts'
import { readHost } from './confine/host.ts'
import type { Containers } from './containers.ts'
import { isLocal } from './docker/address.ts'
import { diskUse } from './docker/disk-use.ts'
import { createEngine, type Engine } from './docker/engine.ts'
import { createEvents } from './docker/events.ts'
import { listOwn } from './docker/own.ts'
import { createRelief, type Relief } from './docker/relief.ts'
import { scopeOf } from './docker/scope.ts'
import type { Tls } from './docker/tls.ts'
import { createDrain } from './drain.ts'
import { createFleet, type Fleet } from './fleet.ts'
import { createGpus, type Gpus } from './gpu/gpus.ts'
import { createHostQuery } from './gpu/host-query.ts'
import type { Log } from './log.ts'
import { keepRunning } from './loop.ts'
import type { Reach } from './reach.ts'
import type { Slots } from './slots.ts'

/** The containers that are started here, and what of this host they are given. */
export type Managed = {
  engine: Engine
  gpus: Gpus
  /** Docker's containers are on this host, and so is the runner. */
  isHere: boolean
  relief: Relief
  fleet: Fleet
  /** Has the containers as a configuration says, those that run elsewhere included. */
  apply(config: Config): void
}

export type ManagedOptions = {
  /** As it is at the start. */
  config: Config
  dockerHost: string | undefined
  dockerTls: Tls | null
  containers: Containers
  slots: Slots
  reach: Reach
  agent: Agent
  drainTimeoutMs: () => number
  log: Log
  signal: AbortSignal
}

export function createManaged(options: ManagedOptions): Managed {
  const { config, dockerHost, containers, slots, reach, agent, drainTimeoutMs, log, signal } = options
  const engine = createEngine(dockerHost, options.dockerTls)
  const isHere = isLocal(dockerHost) && !config.inDocker
  const gpus = createGpus(createHostQuery({ dockerHost, inDocker: config.inDocker }))
  const scope = scopeOf(config)
  const confinement = createConfinement({ scope, engine, host: readHost(dockerHost), log, signal })
  const events = createEvents({ engine, scope, log, signal })
  const relief = createRelief({
    ids: () => containers.all().flatMap(({ config: { id, managed } }) => (managed ? [id] : [])),
    async measure(id) {
      const [own] = await listOwn(engine, scope, { id })
      return own === undefined ? null : await diskUse(engine, own.dockerId)
    },
    log,
  })
  const fleet = createFleet({
    engine,
    events,
    confinement,
    relief,
    gpus,
    containers,
    drain: createDrain({ containers, slots, timeoutMs: drainTimeoutMs, log, signal }),
    reach,
    agent,
    log,
    signal,
  })
  let watching = false

  return {
    engine,
    gpus,
    isHere,
    relief,
    fleet,
    apply(next) {
      void fleet.apply(next)
      // What Docker runs is looked after from when it runs anything.
      if (watching || !next.containers.some(({ managed }) => managed)) return
      watching = true
      void keepRunning('events', events.listen, { log, signal })
      void keepRunning('confinement', confinement.watch, { log, signal })
    },
  }
}

import type { Agent } from 'undici'
import type { HostReport } from '../protocol/host.ts'
import { limits } from '../protocol/limits.ts'
import type { Cause } from './cause.ts'
import type { Config } from './config/config.ts'
import type { Containers } from './containers.ts'
import type { Mode } from './control.ts'
import type { Engine } from './docker/engine.ts'
import type { Relief } from './docker/relief.ts'
import type { Edge } from './edge/connect.ts'
import { checksOf, dockerRoom } from './fitness/checks.ts'
import type { SeenRoom } from './fitness/disk.ts'
import { createFitness, type Fitness, type FitnessPace } from './fitness/fitness.ts'
import type { Gpus } from './gpu/gpus.ts'
import type { Log } from './log.ts'

/** The machine that the runner is on, as it is looked at again and again, and as the edge is told of it. */
export type Host = {
  fitness: Fitness
  /** As they were last seen. */
  rooms(): SeenRoom[]
  report(): HostReport
  /** Tells the edge what it was not told yet. `isNews`: at once. */
  tell(isNews: boolean): void
}

export type HostOptions = {
  /** As it is when one looks. */
  config: () => Config
  engine: Engine
  edge: Edge
  gpus: Gpus
  /** Docker's containers are on this host, and so is the runner. */
  isHere: boolean
  containers: Containers
  agent: Agent
  relief: Pick<Relief, 'lacks'>
  mode: () => Mode
  /** Goes to the edge. */
  onReport: (host: HostReport, isNews: boolean) => void
  /** After each check. */
  onLooked: (isNews: boolean) => void
  onMended: (container: string, cause: Cause) => void
  log: Log
  signal: AbortSignal
  pace?: FitnessPace | undefined
}

export function createHost(options: HostOptions): Host {
  const { config, engine, edge, gpus, isHere, containers, agent, relief, log, signal, pace } = options
  /** By what they are for. */
  const rooms = new Map<string, SeenRoom>()
  let lastTold = ''

  const fitness = createFitness({
    checks: checksOf({
      config,
      engine,
      edge,
      gpus,
      containers,
      agent,
      isHere,
      onRoom: room => void rooms.set(room.what, room),
      signal,
    }),
    containers,
    onLooked(isNews) {
      tell(isNews)
      void relief.lacks(lackingForDocker())
      options.onLooked(isNews)
    },
    onMended: options.onMended,
    log,
    signal,
    ...(pace && { pace }),
  })

  /** In bytes; 0 also where nobody can see. */
  function lackingForDocker(): number {
    const free = rooms.get(dockerRoom)?.freeBytes ?? null
    return free === null ? 0 : Math.max(0, config().minFreeDisk - free)
  }

  function report(): HostReport {
    return {
      mode: options.mode(),
      gpus: gpus.seen().slice(0, limits.gpusPerHost),
      findings: fitness.findings(),
    }
  }

  function tell(isNews: boolean): void {
    const host = report()
    const text = JSON.stringify(host)
    if (text === lastTold) return
    lastTold = text
    options.onReport(host, isNews)
  }

  return { fitness, rooms: () => [...rooms.values()], report, tell }
}

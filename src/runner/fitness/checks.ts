import { statfs } from 'node:fs/promises'
import type { Agent } from 'undici'
import * as v from 'valibot'
import type { Config } from '../config/config.ts'
import type { Containers } from '../containers.ts'
import type { Engine } from '../docker/engine.ts'
import { askEngine, tellEngine } from '../docker/json.ts'
import type { Edge } from '../edge/connect.ts'
import type { Gpus } from '../gpu/gpus.ts'
import { probe } from '../health/probe.ts'
import { sleep } from '../sleep.ts'
import { checkRoom, type Room, type SeenRoom } from './disk.ts'
import { checkEngine } from './docker.ts'
import { checkClock, checkEdge } from './edge.ts'
import type { Check, Checks } from './found.ts'
import { checkGpus } from './gpus.ts'

export type CheckOptions = {
  /** As it is when one looks. */
  config: () => Pick<Config, 'containers' | 'minFreeDisk' | 'spool'>
  engine: Engine
  edge: Edge
  gpus: Gpus
  containers: Pick<Containers, 'itself'>
  agent: Agent
  /** Docker's containers are on this host, and so is the runner. */
  isHere: boolean
  /** Told with each look how much is free. */
  onRoom: (room: SeenRoom) => void
  signal: AbortSignal
}

const engineMs = 5_000
/** Before an engine that did not answer is asked once more. */
const againMs = 1_000
/** What the engine's disk is for, as rooms are named. */
export const dockerRoom = 'Docker'
const Info = v.object({ DockerRootDir: v.string() })

/** What is looked at on this host; each reads the world, and leaves the judgement to a function of what was read. */
export function checksOf(options: CheckOptions): Checks {
  const { config, engine, edge, gpus, containers, agent, isHere, onRoom, signal } = options
  const managed = () => config().containers.flatMap(container => (container.managed ? [container.id] : []))
  const startedAt = performance.now()

  async function room(place: Room): Promise<ReturnType<typeof checkRoom>> {
    const freeBytes = await statfs(place.path).then(
      ({ bavail, bsize }) => bavail * bsize,
      () => null,
    )
    onRoom({ ...place, freeBytes })
    return checkRoom(place, { freeBytes, leastBytes: config().minFreeDisk })
  }

  async function dockerRoot(): Promise<string> {
    const asked = { method: 'GET', path: '/info', signal: AbortSignal.timeout(engineMs) } as const
    return (await askEngine(engine, asked, Info)).DockerRootDir
  }

  /** @returns why it does not answer; null: it does. */
  async function ping(): Promise<unknown> {
    const asked = { method: 'GET', path: '/_ping', signal: AbortSignal.timeout(engineMs) } as const
    return await tellEngine(engine, asked).then(
      () => null,
      (error: unknown) => error,
    )
  }

  async function silentOf(ids: readonly string[]): Promise<string[]> {
    const found = await Promise.all(ids.map(async id => ((await answers(id)) ? [] : [id])))
    return found.flat()
  }

  async function answers(id: string): Promise<boolean> {
    const target = containers.itself(id)
    if (target?.health !== 'ready') return false
    return (await probe(target.baseUrl, { container: target.config, agent })).state === 'ready'
  }

  const spool: Check = () => room({ what: 'the spool', path: config().spool.directory, users: null })

  const docker: Check = async () => {
    const users = managed()
    if (users.length === 0) return []
    let error = await ping()
    if (error !== null) {
      await sleep(againMs, signal)
      error = await ping()
    }
    if (error !== null) return checkEngine({ error, silent: await silentOf(users) })
    if (!isHere) return []
    const path = await dockerRoot().catch(() => null)
    return path === null ? [] : await room({ what: dockerRoom, path, users })
  }

  const lookAtGpus: Check = async () =>
    checkGpus({ sight: await gpus.look(), given: gpus.given(), known: gpus.known() })

  const network: Check = async () => {
    const heard = edge.heard()
    return [...checkClock(heard), ...checkEdge({ heard, now: performance.now(), startedAt })]
  }

  return { decisive: [spool, network], others: [docker, lookAtGpus] }
}

import type { HeartbeatRequest } from '../protocol/runner.ts'
import { type Cause, deaths } from './cause.ts'
import type { Container } from './config/config.ts'

export type Health = HeartbeatRequest['containers'][number]['health']

/** A configured container and how it is. */
export type Target = {
  readonly config: Container
  /** Where it is called. Differs from the configured address when Docker had to give it another port. */
  readonly baseUrl: string
  readonly health: Health
  readonly detail: string | undefined
  /** Why it is not ready, where that is known. */
  readonly cause: Cause | undefined
  /** What its image is called where others can have the same, or its id; undefined for one that is not started here. */
  readonly image: string | undefined
  /** Docker's id of what was last started for it here. */
  readonly dockerId: string | undefined
  /** Rises with each judgement of the container itself; what its host is judged to be leaves it as it is. */
  readonly judged: number
}

/** `detail` is the cause's own where it is not given. */
export type Change = {
  health: Health
  detail?: string
  cause?: Cause
  baseUrl?: string
  image?: string
  dockerId?: string
}

export type Containers = {
  get(id: string): Target | undefined
  /** As it is by itself, whatever its host is held for. */
  itself(id: string): Target | undefined
  all(): Target[]
  change(id: string, change: Change): void
  /** Has a container, one more or one that is here already and stays as it is, configured so. */
  configure(config: Container): void
  remove(id: string): void
  /**
   * Keeps a container out of service until it is let go, with null: for something about the host that it cannot work with, whatever it
   * says itself.
   */
  hold(id: string, hold: Cause | null): void
  /**
   * Why a container last failed the jobs that it had in hand; it may be up again. The last cause of a `change` that jobs fail by, or what
   * `blame` has named since.
   */
  blamed(id: string): Cause | undefined
  /** Something happened in a container that goes on: jobs that break off by it are told so. */
  blame(id: string, cause: Cause): void
  /** Calls back after every change, hold, or blame, until the answer is called. */
  watch(changed: (target: Target) => void): () => void
  /** As a heartbeat tells it. */
  health(): HeartbeatRequest['containers']
}

/** The edge takes no more of it, and jobs are told no more. */
const detailChars = 1024

function cut<T extends Cause | undefined>(cause: T): T {
  return cause && { ...cause, detail: cause.detail.slice(0, detailChars) }
}

/** None is ready before it has answered, also of those that run elsewhere. */
export function createContainers(configs: readonly Container[]): Containers {
  let judgements = 0
  const targets = new Map<string, Target>()
  const holds = new Map<string, Cause>()
  /** As they are shown: the same, but for those that are held. */
  const shown = new Map<string, Target>()
  const blames = new Map<string, Cause>()
  const watchers = new Set<(target: Target) => void>()

  function fresh(config: Container): Target {
    return {
      config,
      baseUrl: config.baseUrl,
      health: 'starting',
      detail: undefined,
      cause: undefined,
      image: undefined,
      dockerId: undefined,
      judged: ++judgements,
    }
  }

  function tell(target: Target): void {
    for (const changed of watchers) changed(target)
  }

  function show(target: Target): void {
    const { id } = target.config
    const hold = holds.get(id)
    const after: Target =
      hold === undefined ? target : { ...target, health: 'unhealthy', detail: hold.detail, cause: hold }
    targets.set(id, target)
    shown.set(id, after)
    tell(after)
  }

  for (const config of configs) show(fresh(config))

  return {
    get: id => shown.get(id),
    itself: id => targets.get(id),
    all: () => [...shown.values()],
    change(id, { health, detail, cause: told, baseUrl, image, dockerId }) {
      const before = targets.get(id)
      if (before === undefined) return
      const cause = cut(told)
      // What keeps it from being taken down, or brought up, is nothing that its jobs fail by.
      if (cause !== undefined && deaths.has(cause.code)) blames.set(id, cause)
      show({
        ...before,
        health,
        detail: (detail ?? cause?.detail)?.slice(0, detailChars),
        cause,
        baseUrl: baseUrl ?? before.baseUrl,
        image: image ?? before.image,
        dockerId: dockerId ?? before.dockerId,
        judged: ++judgements,
      })
    },
    configure(config) {
      const before = targets.get(config.id)
      show(before === undefined ? fresh(config) : { ...before, config, judged: ++judgements })
    },
    remove(id) {
      const target = shown.get(id)
      targets.delete(id)
      shown.delete(id)
      holds.delete(id)
      blames.delete(id)
      if (target !== undefined) tell(target)
    },
    hold(id, told) {
      const hold = told && cut(told)
      const target = targets.get(id)
      const before = holds.get(id)
      if (target === undefined || (before?.code === hold?.code && before?.detail === hold?.detail)) return
      if (hold === null) holds.delete(id)
      else holds.set(id, hold)
      show(target)
    },
    blamed: id => blames.get(id),
    blame(id, cause) {
      const target = shown.get(id)
      if (target === undefined) return
      blames.set(id, cut(cause))
      tell(target)
    },
    watch(changed) {
      watchers.add(changed)
      return () => watchers.delete(changed)
    },
    health: () =>
      [...shown.values()].map(({ config, health, cause, detail }) => ({
        id: config.id,
        health,
        ...(cause !== undefined && { code: cause.code }),
        ...(detail !== undefined && { detail }),
      })),
  }
}

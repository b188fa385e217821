import type { HeartbeatRequest } from '../protocol/runner.ts'
import type { Container } from './config/config.ts'

export type Health = HeartbeatRequest['containers'][number]['health']

/** A configured container and how it is. */
export type Target = {
  readonly config: Container
  /** Where it is called. Differs from the configured address when Docker had to give it another port. */
  readonly baseUrl: string
  readonly health: Health
  readonly detail: string | undefined
}

export type Change = { health: Health; detail?: string; baseUrl?: string }

export type Containers = {
  get(id: string): Target | undefined
  all(): Target[]
  change(id: string, change: Change): void
  /** Calls back after every change. */
  watch(changed: (target: Target) => void): void
  /** As a heartbeat tells it. */
  health(): HeartbeatRequest['containers']
}

/** None is ready before it has answered, also of those that run elsewhere. */
export function createContainers(configs: readonly Container[]): Containers {
  const targets = new Map<string, Target>(
    configs.map(config => [
      config.id,
      { config, baseUrl: config.baseUrl, health: 'starting', detail: undefined },
    ]),
  )
  const watchers: ((target: Target) => void)[] = []

  return {
    get: id => targets.get(id),
    all: () => [...targets.values()],
    change(id, { health, detail, baseUrl }) {
      const before = targets.get(id)
      if (before === undefined) return
      const after = { ...before, health, detail: detail?.slice(0, 1024), baseUrl: baseUrl ?? before.baseUrl }
      targets.set(id, after)
      for (const changed of watchers) changed(after)
    },
    watch(changed) {
      watchers.push(changed)
    },
    health: () =>
      [...targets.values()].map(({ config, health, detail }) => ({
        id: config.id,
        health,
        ...(detail !== undefined && { detail }),
      })),
  }
}

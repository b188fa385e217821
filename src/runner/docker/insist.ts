import { createBackoff } from '../backoff.ts'
import { causeOf } from '../cause.ts'
import type { Config } from '../config/config.ts'
import type { Containers } from '../containers.ts'
import type { Log } from '../log.ts'
import { createTrouble } from '../trouble.ts'
import type { Events } from './events.ts'
import { scopeOf } from './scope.ts'
import { nameOf } from './spec.ts'

export type InsistOptions = {
  config: Pick<Config, 'spool'>
  events: Events
  containers: Containers
  log: Log
  /** The runner ends, or its end has no more time for this. */
  ending: AbortSignal
}

const retrying = { baseMs: 1_000, capMs: 60_000 }

/**
 * Takes a container down, however often that takes, until it is down or the runner ends: an engine that refuses it once, or is away, would
 * leave it running for good. What that fails by is what it is down by meanwhile. Answers null once it is down, else what it last failed by.
 */
export async function insist(
  id: string,
  takeDown: () => Promise<void>,
  { config, events, containers, log, ending }: InsistOptions,
): Promise<unknown> {
  const name = nameOf(scopeOf(config), id)
  const trouble = createTrouble({ log, what: `Taking down container ${id}` })
  const backoff = createBackoff(retrying)
  let failure: unknown = ending.reason
  while (!ending.aborted) {
    const seen = events.count(name)
    try {
      await takeDown()
      trouble.over()
      return null
    } catch (error) {
      failure = error
      trouble.failed(error)
      containers.change(id, { health: 'unhealthy', cause: causeOf(error) })
    }
    // It may die by itself, or the engine be back.
    await events.next(name, seen, ending, backoff.next())
  }
  return failure
}

import { isDeepStrictEqual } from 'node:util'
import type { Config } from './config/config.ts'

/** What a running process cannot change: its identity, its files, and connections that are open. */
export function unchangeable(before: Config, next: Config): string[] {
  const differing = {
    edge: isDeepStrictEqual(before.edge, next.edge),
    spool: before.spool.directory === next.spool.directory,
    listen: isDeepStrictEqual(before.listen, next.listen),
    stream_part: before.streamPartMs === next.streamPartMs,
  }
  return Object.entries(differing)
    .filter(([, isSame]) => !isSame)
    .map(([key]) => key)
}

/** The next configuration, but for what is unchangeable. */
export function settledAtStart(before: Config, next: Config): Config {
  return {
    ...next,
    edge: before.edge,
    inDocker: before.inDocker,
    spool: { ...next.spool, directory: before.spool.directory },
    listen: before.listen,
    streamPartMs: before.streamPartMs,
  }
}

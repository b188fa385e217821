import { defineCommand } from 'citty'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { createEngine, EngineError } from '../docker/engine.ts'
import { readLog } from '../docker/read-log.ts'
import { scopeOf } from '../docker/scope.ts'
import { nameOf } from '../docker/spec.ts'
import { keptLines } from '../door/lines.ts'
import { fetchLog, NoRunnerError } from '../door/visit.ts'
import { messageOf } from '../trouble.ts'
import { dockerOf } from './docker.ts'
import { fail } from './fail.ts'
import { configArg } from './run.ts'

type Wanted = { tail: number | null; follow: boolean; signal: AbortSignal }

export const logs = defineCommand({
  meta: { name: 'logs', description: 'The log of the runner, or of one of its containers' },
  args: {
    container: { type: 'positional', required: false, description: 'Its id (default: the runner itself)' },
    config: configArg,
    follow: { type: 'boolean', alias: 'f', default: false, description: 'Go on with what comes' },
    tail: { type: 'string', valueHint: 'N', description: 'Lines to begin with (default: all there are)' },
  },
  run: async ({ args }) => {
    const { config } = await loadConfig(process.env, args.config)
    const tail = args.tail === undefined ? null : Number(args.tail)
    if (tail !== null && !(Number.isSafeInteger(tail) && tail >= 0)) return fail('--tail is a count of lines')
    const ending = new AbortController()
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => ending.abort())
    const wanted = { tail, follow: args.follow, signal: ending.signal }
    const shown =
      args.container === undefined ? ownLog(config, wanted) : containerLog(config, args.container, wanted)
    await shown.catch((error: unknown) => {
      if (!ending.signal.aborted) throw error
    })
  },
})

async function ownLog(config: Config, { tail, follow, signal }: Wanted): Promise<void> {
  const log = await fetchLog(config, { tail: tail ?? keptLines, follow, signal }).catch((error: unknown) => {
    if (error instanceof NoRunnerError)
      return fail(
        `${error.message}. What it wrote is where it was started: journalctl, docker logs, a terminal.`,
      )
    throw error
  })
  try {
    for await (const bytes of log) process.stdout.write(bytes)
  } catch (error) {
    // The runner has ended, and its log with it.
    if (!signal.aborted && !follow) throw error
  }
}

async function containerLog(config: Config, id: string, { tail, follow, signal }: Wanted): Promise<void> {
  const container = config.containers.find(one => one.id === id)
  if (container === undefined) {
    const known = config.containers.map(one => one.id).join(', ')
    return fail(`No container ${id} is configured. There are: ${known || 'none'}`)
  }
  if (!container.managed)
    return fail(`${id} is not started here: its log is where it runs (${container.baseUrl})`)
  const { dockerHost, dockerTls } = await dockerOf(process.env, config)
  const engine = createEngine(dockerHost, dockerTls)
  try {
    const name = nameOf(scopeOf(config), id)
    const log = await readLog(engine, { name, tail: tail ?? 'all', follow, signal })
    for await (const { to, bytes } of log) process[to].write(bytes)
  } catch (error) {
    if (signal.aborted) return
    if (error instanceof EngineError && error.status === 404) return fail(`${id} has no container here yet`)
    return fail(`Docker does not give the log of ${id}: ${messageOf(error)}`)
  } finally {
    await engine.close()
  }
}

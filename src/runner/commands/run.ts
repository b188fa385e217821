import { defineCommand } from 'citty'
import { loadConfig } from '../config/load.ts'
import { ConfigError, textOf } from '../config/problem.ts'
import { openDoor } from '../door/door.ts'
import { createLines, type Lines } from '../door/lines.ts'
import { exitCode } from '../exit.ts'
import { loadKey } from '../key/load.ts'
import { createLog, type Log, type LogLevel, logLevels } from '../log.ts'
import { createRunner, type Runner } from '../runner.ts'
import { messageOf } from '../trouble.ts'
import { version } from '../version.ts'
import { dockerOf } from './docker.ts'

export const configArg = {
  type: 'string',
  description: 'Configuration file (default: INFERNET_CONFIG_PATH, else config.json)',
  valueHint: 'FILE',
} as const

export const run = defineCommand({
  meta: { name: 'run', description: 'Run the containers of a configuration for an edge' },
  args: { config: configArg },
  run: async ({ args }) => {
    const lines = createLines()
    const log = processLog(process.env, lines)
    const { config, warnings, risks } = await loadConfig(process.env, args.config)
    for (const warning of [...warnings, ...risks.map(textOf)]) log.warn(warning)
    const key = await loadKey(config.edge.keyFile)
    const runner = createRunner({ config, key, log, ...(await dockerOf(process.env, config)) })
    endOnSignals(runner, log)
    reloadOnSignal(runner, { chosen: args.config, log })
    log.info('Runner starts', { version, runner: key.id, instance: runner.instance, edge: config.edge.url })
    await runner.start()
    const door =
      config.listen &&
      (await openDoor({
        listen: config.listen,
        spool: config.spool.directory,
        instance: runner.instance,
        runner,
        lines,
        log,
      }))
    runner.ready.then(() => log.info('Runner is ready'))
    await runner.ended
    await door?.close()
    log.info('Runner has ended')
    process.exit(exitCode.ok)
  },
})

function processLog({ INFERNET_LOG_LEVEL }: { INFERNET_LOG_LEVEL?: string }, lines: Lines): Log {
  const level: LogLevel = logLevels.find(known => known === INFERNET_LOG_LEVEL) ?? 'info'
  const format = process.stdout.isTTY ? 'human' : 'json'
  const write = (line: string) => {
    process.stdout.write(`${line}\n`)
    lines.push(line)
  }
  return createLog({ write, format, level })
}

/**
 * Reads the configuration again. One that is wrong changes nothing; every problem of it is told. One at a time, so that the last one read is
 * the last one written: signals that come meanwhile have it read once more.
 */
function reloadOnSignal(runner: Runner, options: { chosen: string | undefined; log: Log }): void {
  let reading = false
  let isDue = false
  process.on('SIGHUP', async () => {
    isDue = true
    if (reading) return
    reading = true
    while (isDue) {
      isDue = false
      await reload(runner, options)
    }
    reading = false
  })
}

async function reload(
  runner: Runner,
  { chosen, log }: { chosen: string | undefined; log: Log },
): Promise<void> {
  log.info('Reading the configuration again')
  try {
    const { config, warnings, risks } = await loadConfig(process.env, chosen)
    for (const warning of [...warnings, ...risks.map(textOf)]) log.warn(warning)
    runner.reload(config)
  } catch (error) {
    const problems = error instanceof ConfigError ? error.message.split('\n') : [messageOf(error)]
    for (const problem of problems) log.error('The configuration is wrong, the last one stays', { problem })
  }
}

/** The first signal drains, the second ends at once. What slips through every catch is told and survived. */
function endOnSignals(runner: Runner, log: Log): void {
  let signals = 0
  const onSignal = (signal: NodeJS.Signals) => {
    signals++
    log.info(signals === 1 ? 'Draining; a second signal ends at once' : 'Ending at once', { signal })
    void (signals === 1 ? runner.drain() : runner.stop())
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  process.on('unhandledRejection', reason => log.error('Unhandled rejection', { error: String(reason) }))
  process.on('uncaughtException', error => log.error('Uncaught exception', { error: error.message }))
}

import { defineCommand } from 'citty'
import { loadConfig } from '../config/load.ts'
import { exitCode } from '../exit.ts'
import { loadKey } from '../key/load.ts'
import { createLog, type Log, type LogLevel, logLevels } from '../log.ts'
import { createRunner, type Runner } from '../runner.ts'
import { version } from '../version.ts'

export const configArg = {
  type: 'string',
  description: 'Configuration file (default: INFERNET_CONFIG_PATH, else config.json)',
  valueHint: 'FILE',
} as const

export const run = defineCommand({
  meta: { name: 'run', description: 'Run the containers of a configuration for an edge' },
  args: { config: configArg },
  run: async ({ args }) => {
    const log = processLog(process.env)
    const { config, warnings } = await loadConfig(process.env, args.config)
    for (const warning of warnings) log.warn(warning)
    const key = await loadKey(config.edge.keyFile)
    const runner = createRunner({ config, key, log, dockerHost: process.env.DOCKER_HOST })
    endOnSignals(runner, log)
    log.info('Runner starts', { version, runner: key.id, instance: runner.instance, edge: config.edge.url })
    await runner.start()
    runner.ready.then(() => log.info('Runner is ready'))
    await runner.ended
    log.info('Runner has ended')
    process.exit(exitCode.ok)
  },
})

function processLog({ INFERNET_LOG_LEVEL }: { INFERNET_LOG_LEVEL?: string }): Log {
  const level: LogLevel = logLevels.find(known => known === INFERNET_LOG_LEVEL) ?? 'info'
  const format = process.stdout.isTTY ? 'human' : 'json'
  return createLog({ write: line => process.stdout.write(`${line}\n`), format, level })
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

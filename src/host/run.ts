import type { Config } from '../edge/config.ts'
import { describe, consoleLog as log } from '../edge/log.ts'
import { version } from '../edge/version.ts'
import { exitCode, StartError } from './exit.ts'
import { startHost } from './host.ts'
import type { Listen } from './listen.ts'
import { type OpenedDb, openDb } from './open.ts'
import type { Options } from './options.ts'
import { checkSchema } from './schema.ts'

export type RunOptions = { options: Options; config: Config; listen: Listen }

/** Serves until the first signal, then ends this process. */
export async function run({ options, config, listen }: RunOptions): Promise<never> {
  // A reader of the log that goes away, such as a closed terminal, ends the log and nothing else.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  process.on('unhandledRejection', error => log.error('Unhandled rejection', { error: describe(error) }))
  const db = await open(config)
  await checkSchema(db, log)
  const host = await startHost({ ...options, config, db, listen, log })
  log.info('Edge listens', { url: host.url, host: options.host, version })
  const signal = await firstSignal()
  log.info('Edge ends', { signal })
  await host.close()
  db.close()
  process.exit(exitCode.ok)
}

async function open({ DATABASE_URL: url, DATABASE_TOKEN: token }: Config): Promise<OpenedDb> {
  try {
    return await openDb({ url, token })
  } catch (error) {
    throw new StartError('config', `DATABASE_URL: cannot be opened: ${describe(error)}`, { cause: error })
  }
}

/** npm passes on the Ctrl-C that the terminal has already sent to everyone: no second one. */
const echoMs = 1_000

/** A second signal does not wait for what is in hand. */
function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise(resolve => {
    let firstAt: number | undefined
    const onSignal = (signal: NodeJS.Signals) => {
      firstAt ??= performance.now()
      resolve(signal)
      if (performance.now() - firstAt > echoMs) process.exit(exitCode.failure)
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

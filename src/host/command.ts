import type { Config } from '../edge/config.ts'
import { ConfigError } from '../edge/config-error.ts'
import { exitCode, StartError } from './exit.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { readSettings } from './settings.ts'

export type Start = (options: Options, config: Config) => Promise<void>

/** The command as typed, up to what the host does of it. Whatever keeps it from starting is told in one message. */
export async function command(start: Start): Promise<void> {
  try {
    const options = parseOptions(process.argv.slice(2))
    if (options.help) console.log(usage)
    else await start(options, readSettings(process.env))
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exit(exitOf(error))
  }
}

function exitOf(error: unknown): number {
  if (error instanceof ConfigError) return exitCode.config
  return error instanceof StartError ? error.exitCode : exitCode.failure
}

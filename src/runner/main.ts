#!/usr/bin/env node
import { defineCommand, runCommand, runMain } from 'citty'
import { shieldDashed } from '../protocol/dashed.ts'
import { config } from './commands/config.ts'
import { doctor } from './commands/doctor.ts'
import { enrol } from './commands/enrol.ts'
import { init } from './commands/init.ts'
import { keygen } from './commands/keygen.ts'
import { logs } from './commands/logs.ts'
import { revoke } from './commands/revoke.ts'
import { configArg, run } from './commands/run.ts'
import { status } from './commands/status.ts'
import { ConfigError } from './config/problem.ts'
import { exitCode } from './exit.ts'
import { program } from './program.ts'
import { LockedError } from './spool/lock.ts'
import { version } from './version.ts'

const main = defineCommand({
  meta: { name: program, version, description: 'Runs containers for an infernet edge' },
  // Named here too, so that its value is not taken for a command.
  args: { config: configArg },
  default: 'run',
  subCommands: { run, init, doctor, status, logs, config, keygen, enrol, revoke },
})

// A reader of the log that goes away, such as a closed terminal, ends the log and nothing else. Unheard, the error would be logged,
// which is the next such error.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

const rawArgs = shieldDashed(process.argv.slice(2))
try {
  if (rawArgs.some(arg => ['--help', '-h', '--version', '-v'].includes(arg))) await runMain(main, { rawArgs })
  else await runCommand(main, { rawArgs })
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  if (error instanceof ConfigError) process.exit(exitCode.config)
  if (error instanceof LockedError) process.exit(exitCode.busy)
  process.exit(error instanceof Error && error.name === 'CLIError' ? exitCode.usage : exitCode.failure)
}

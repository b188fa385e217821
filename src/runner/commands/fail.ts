import { exitCode } from '../exit.ts'

/** A command that cannot do what it was asked: one line, and the exit code. */
export function fail(message: string): never {
  console.error(message)
  process.exit(exitCode.failure)
}

import { parseArgs } from 'node:util'
import { StartError } from './exit.ts'

export type Options = {
  host: 'node' | 'deno'
  hostname: string
  /** 0: any free port. */
  port: number
  migrate: boolean
  help: boolean
}

export const usage = `npm run serve -- [options]
  --host node|deno   runtime of the edge (default node)
  --port N           port to listen on (default 4000; 0: any free one)
  --hostname NAME    address to listen on (default 127.0.0.1, which only this machine reaches)
  --migrate          bring the database to the newest schema first

Configured by the environment: ORIGIN and DATABASE_URL are required, ADMIN_TOKEN is needed to enrol runners;
docs/operations.md has them all.`

/** @throws StartError naming what is wrong. */
export function parseOptions(args: readonly string[]): Options {
  const { host, hostname, port, migrate, help } = parse(args)
  if (host !== 'node' && host !== 'deno') throw new StartError('usage', '--host takes node or deno')
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
    throw new StartError('usage', '--port takes a number from 0 to 65535')
  return { host, hostname, port: Number(port), migrate, help }
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        host: { type: 'string', default: 'node' },
        hostname: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '4000' },
        migrate: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    return values
  } catch (error) {
    throw new StartError('usage', error instanceof Error ? error.message : 'Wrong options', { cause: error })
  }
}

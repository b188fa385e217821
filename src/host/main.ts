import { migrate } from '../edge/db/migrate.ts'
import { command } from './command.ts'
import { execDeno } from './deno-command.ts'
import { listenOnNode } from './node.ts'
import { run } from './run.ts'

// A database file holds inputs and results: it, and what the engine lays beside it, is its owner's alone. Deno inherits this.
process.umask(0o077)

// What needs Node, migrations and looking for Deno's program, is done here for both hosts.
await command(async (options, config) => {
  const { DATABASE_URL: url, DATABASE_TOKEN: token } = config
  if (options.migrate) await migrate({ url, token })
  if (options.host === 'deno') execDeno(options, config)
  else await run({ options, config, listen: listenOnNode })
})

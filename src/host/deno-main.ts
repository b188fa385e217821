import { command } from './command.ts'
import { listenOnDeno } from './deno.ts'
import { run } from './run.ts'

await command(async (options, config) => await run({ options, config, listen: listenOnDeno }))

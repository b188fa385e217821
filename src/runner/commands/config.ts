import { defineCommand } from 'citty'
import { loadConfig } from '../config/load.ts'
import { textOf } from '../config/problem.ts'

/** @throws ConfigError, which tells every problem of the file and ends with `exitCode.config`. */
const check = defineCommand({
  meta: { name: 'check', description: 'Look a configuration through without running it' },
  args: {
    file: { type: 'positional', required: false, description: 'The file (default: as for `run`)' },
  },
  run: async ({ args }) => {
    const { config, warnings, risks } = await loadConfig(process.env, args.file)
    for (const warning of [...warnings, ...risks.map(textOf)]) console.log(`warning: ${warning}`)
    const ids = config.containers.map(({ id }) => id)
    console.log(`It can be used. Containers: ${ids.join(', ') || 'none'}`)
  },
})

export const config = defineCommand({
  meta: { name: 'config', description: 'The configuration file' },
  subCommands: { check },
})

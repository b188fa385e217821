import { defineCommand } from 'citty'
import type { Runner } from '../../protocol/runner.ts'
import { command } from './command.ts'
import { writeOutput } from './files.ts'
import { openAdmin, output, url } from './options.ts'

const id = { type: 'positional', description: 'The runner.', required: true } as const

const list = command({
  name: 'list',
  description: 'All runners, newest first',
  args: { output, url },
  async run({ args }) {
    await writeOutput(args.output, JSON.stringify(await openAdmin(args.url).listRunners(), null, 2))
  },
})

const enrol = command({
  name: 'enrol',
  description: 'Enrol a runner by its public key; prints its id',
  args: {
    name: { type: 'string', required: true, description: 'What to call it.', valueHint: 'name' },
    'public-key': {
      type: 'string',
      required: true,
      description: 'As the runner printed it: 32 bytes in base64url.',
      valueHint: 'key',
    },
    url,
  },
  async run({ args }) {
    const admin = openAdmin(args.url)
    await writeOutput('-', await admin.enrolRunner({ name: args.name, public_key: args['public-key'] }))
  },
})

const revoke = command({
  name: 'revoke',
  description: 'Refuse a runner from here on; others take its jobs',
  args: { id, url },
  async run({ args }) {
    await openAdmin(args.url).revokeRunner(args.id)
    await writeOutput('-', `${args.id} revoked`)
  },
})

function modeCommand({
  name,
  description,
  mode,
}: {
  name: string
  description: string
  mode: Runner['mode']
}) {
  return command({
    name,
    description,
    args: { id, url },
    async run({ args }) {
      await openAdmin(args.url).setRunnerMode(args.id, mode)
      await writeOutput('-', `${args.id} ${mode}`)
    },
  })
}

export const runners = defineCommand({
  meta: { name: 'runners', description: 'The operator: runners of the node (ADMIN_TOKEN)' },
  subCommands: {
    list,
    enrol,
    revoke,
    pause: modeCommand({
      name: 'pause',
      description: 'Give it no more jobs until it is resumed',
      mode: 'pause',
    }),
    resume: modeCommand({ name: 'resume', description: 'Give it jobs again', mode: 'run' }),
    drain: modeCommand({
      name: 'drain',
      description: 'Let it finish what it holds, and exit',
      mode: 'drain',
    }),
  },
})

import { hostname } from 'node:os'
import { defineCommand } from 'citty'
import type { EnrolRequest } from '../../protocol/runner.ts'
import { loadKey } from '../key/load.ts'
import { admin } from './admin.ts'
import { fail } from './fail.ts'

export const enrol = defineCommand({
  meta: { name: 'enrol', description: 'Make a runner known to an edge (ADMIN_TOKEN in the environment)' },
  args: {
    edge: { type: 'string', valueHint: 'URL', description: 'The edge (default: INFERNET_EDGE_URL)' },
    name: {
      type: 'string',
      valueHint: 'NAME',
      description: 'What operators call this host',
      default: hostname(),
    },
    key: { type: 'string', valueHint: 'FILE', description: 'The private key (default: INFERNET_KEY_FILE)' },
    'public-key': {
      type: 'string',
      valueHint: 'KEY',
      description: 'The public key, in place of the private one',
    },
  },
  run: async ({ args }) => {
    const edge = args.edge ?? process.env.INFERNET_EDGE_URL ?? fail('Name the edge with --edge URL')
    const publicKey = args['public-key'] ?? (await publicKeyOf(args.key ?? process.env.INFERNET_KEY_FILE))
    const body: EnrolRequest = { name: args.name, public_key: publicKey }
    await admin({ method: 'POST', edge, path: '/admin/runners', body })
    console.log(`${args.name} is enrolled`)
  },
})

async function publicKeyOf(path: string | undefined): Promise<string> {
  if (path === undefined) return fail('Name the key with --key FILE or --public-key KEY')
  const { id, publicKey } = await loadKey(path)
  console.log(`runner id: ${id}`)
  return publicKey
}

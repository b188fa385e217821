import { defineCommand } from 'citty'
import { admin } from './admin.ts'
import { fail } from './fail.ts'

export const revoke = defineCommand({
  meta: {
    name: 'revoke',
    description: "End a runner's right to work for an edge (ADMIN_TOKEN in the environment)",
  },
  args: {
    id: { type: 'positional', required: true, description: 'The runner id, as keygen printed it' },
    edge: { type: 'string', valueHint: 'URL', description: 'The edge (default: INFERNET_EDGE_URL)' },
  },
  run: async ({ args }) => {
    const edge = args.edge ?? process.env.INFERNET_EDGE_URL ?? fail('Name the edge with --edge URL')
    await admin({ method: 'DELETE', edge, path: `/admin/runners/${encodeURIComponent(String(args.id))}` })
    console.log(`${args.id} is revoked`)
  },
})

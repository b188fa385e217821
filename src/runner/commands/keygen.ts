import { defineCommand } from 'citty'
import { generateKey } from '../key/generate.ts'
import { fail } from './fail.ts'

export const keygen = defineCommand({
  meta: { name: 'keygen', description: 'Make the key pair of this host' },
  args: {
    out: {
      type: 'string',
      required: true,
      valueHint: 'FILE',
      description: 'New file for the private key: PEM, or a JWK when the name ends in .json or .jwk',
    },
  },
  run: async ({ args }) => {
    const key = await generateKey(args.out).catch((error: NodeJS.ErrnoException) =>
      fail(
        error.code === 'EEXIST'
          ? `${args.out} exists already and is left as it is`
          : `${args.out}: ${error.code}`,
      ),
    )
    console.log(`runner id:  ${key.id}\npublic key: ${key.publicKey}`)
  },
})

import { command } from '../command.ts'
import { addressOf, json, openReads, rpcUrl, token, wallet } from './options.ts'
import { print } from './print.ts'

export const allowance = command({
  name: 'allowance',
  description: "What may still be paid out of a wallet in a spender's name, in base units",
  args: {
    wallet,
    spender: {
      type: 'string',
      alias: 's',
      required: true,
      description: 'Whose allowance.',
      valueHint: 'address',
    },
    token,
    'rpc-url': rpcUrl,
    json,
  },
  async run({ args }) {
    const spending = {
      wallet: addressOf('--wallet', args.wallet),
      spender: addressOf('--spender', args.spender),
      token: addressOf('--token', args.token),
    }
    const allowance = await openReads(args).allowance(spending)
    await print(args.json, { lines: [String(allowance)], object: { ...spending, allowance } })
  },
})

import { command } from '../command.ts'
import { addressOf, creditor, json, openReads, rpcUrl, token, wallet } from './options.ts'
import { print } from './print.ts'

export const owed = command({
  name: 'owed',
  description: 'What a wallet owes, since the token did not let it through, in base units',
  args: { wallet, to: creditor, token, 'rpc-url': rpcUrl, json },
  async run({ args }) {
    const debt = {
      wallet: addressOf('--wallet', args.wallet),
      to: addressOf('--to', args.to),
      token: addressOf('--token', args.token),
    }
    const owed = await openReads(args).owed(debt)
    await print(args.json, { lines: [String(owed)], object: { ...debt, owed } })
  },
})

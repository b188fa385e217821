import { command } from '../command.ts'
import { addressOf, amount, json, openSender, privateKey, rpcUrl, timeout, token, wallet } from './options.ts'
import { print } from './print.ts'

export const approve = command({
  name: 'approve',
  description: "Set what may be paid out of a wallet in a spender's name; the owner's key is needed",
  args: {
    wallet,
    spender: {
      type: 'string',
      alias: 's',
      required: true,
      description: 'A consumer contract; of a node that stakes: its own account.',
      valueHint: 'address',
    },
    token,
    amount,
    'rpc-url': rpcUrl,
    'private-key': privateKey,
    timeout,
    json,
  },
  async run({ args }) {
    const spending = {
      wallet: addressOf('--wallet', args.wallet),
      spender: addressOf('--spender', args.spender),
      token: addressOf('--token', args.token),
    }
    const { wallets } = await openSender(args)
    const { amount, hash, block } = await wallets.approve({ ...spending, amount: args.amount })
    const lines = [
      `Success: approved spender: ${args.spender} for`,
      `amount: ${args.amount}`,
      `token: ${args.token}`,
      `tx: ${hash}`,
    ]
    await print(args.json, { lines, object: { ...spending, amount, tx: hash, block } })
  },
})

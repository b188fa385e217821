import { command } from '../command.ts'
import { addressOf, amount, json, openSender, privateKey, rpcUrl, timeout, token, wallet } from './options.ts'
import { arrivedLine, print } from './print.ts'

export const withdraw = command({
  name: 'withdraw',
  description: 'Send what is not locked in a wallet to its owner, whose key is needed',
  args: { wallet, token, amount, 'rpc-url': rpcUrl, 'private-key': privateKey, timeout, json },
  async run({ args }) {
    const from = { wallet: addressOf('--wallet', args.wallet), token: addressOf('--token', args.token) }
    const { wallets } = await openSender(args)
    const moved = await wallets.withdraw({ ...from, amount: args.amount })
    const { amount, arrived, hash, block } = moved
    const lines = [
      `Success: withdrawal of amount: ${args.amount}`,
      `token: ${args.token}`,
      `tx: ${hash}`,
      ...arrivedLine(moved),
    ]
    await print(args.json, { lines, object: { ...from, amount, arrived, tx: hash, block } })
  },
})

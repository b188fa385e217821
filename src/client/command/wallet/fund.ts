import { command } from '../command.ts'
import { addressOf, amount, json, openSender, privateKey, rpcUrl, timeout, token, wallet } from './options.ts'
import { arrivedLine, print } from './print.ts'

export const fund = command({
  name: 'fund',
  description: "Send to a wallet, from the key's account",
  args: { wallet, token, amount, 'rpc-url': rpcUrl, 'private-key': privateKey, timeout, json },
  async run({ args }) {
    const funding = {
      wallet: addressOf('--wallet', args.wallet),
      token: addressOf('--token', args.token),
    }
    const { wallets } = await openSender(args)
    const moved = await wallets.fund({ ...funding, amount: args.amount })
    const { amount, arrived, hash, block } = moved
    const lines = [
      'Success: sent',
      `amount: ${args.amount}`,
      `token: ${args.token}`,
      `to wallet: ${args.wallet}`,
      `tx: ${hash}`,
      ...arrivedLine(moved),
    ]
    await print(args.json, { lines, object: { ...funding, amount, arrived, tx: hash, block } })
  },
})

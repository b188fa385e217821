import { command } from '../command.ts'
import {
  addressOf,
  creditor,
  json,
  openSender,
  privateKey,
  rpcUrl,
  timeout,
  token,
  wallet,
} from './options.ts'
import { arrivedLine, print } from './print.ts'

export const claim = command({
  name: 'claim',
  description: 'Have a wallet send what it owes, to whom it owes it; any key will do',
  args: { wallet, to: creditor, token, 'rpc-url': rpcUrl, 'private-key': privateKey, timeout, json },
  async run({ args }) {
    const debt = {
      wallet: addressOf('--wallet', args.wallet),
      to: addressOf('--to', args.to),
      token: addressOf('--token', args.token),
    }
    const { wallets } = await openSender(args)
    const moved = await wallets.claim(debt)
    const { amount, arrived, hash, block } = moved
    const lines = [
      'Success: claimed',
      `amount: ${amount}`,
      `token: ${args.token}`,
      `to: ${args.to}`,
      `tx: ${hash}`,
      ...arrivedLine(moved),
    ]
    await print(args.json, { lines, object: { ...debt, amount, arrived, tx: hash, block } })
  },
})

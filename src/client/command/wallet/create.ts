import { isAddressEqual } from 'viem'
import { command } from '../command.ts'
import { UsageError } from '../exit.ts'
import {
  addressOf,
  factory,
  json,
  openSender,
  placeOf,
  privateKey,
  registry,
  rpcUrl,
  timeout,
} from './options.ts'
import { print, warn } from './print.ts'

const description = 'Make a wallet; prints its address and its owner'

export const create = command({
  name: 'create',
  description,
  args: {
    factory,
    registry,
    owner: {
      type: 'string',
      description: 'Whose it is; else the account of the key.',
      valueHint: 'address',
    },
    'rpc-url': rpcUrl,
    'private-key': privateKey,
    timeout,
    json,
  },
  async run({ args }) {
    const place = placeOf(args)
    if (place === undefined) throw new UsageError('Name the factory with --factory or --registry')
    const asked = args.owner === undefined ? undefined : addressOf('--owner', args.owner)
    const { wallets, sender } = await openSender(args)
    const { wallet, owner, factory, hash, block } = await wallets.create({ ...place, owner: asked })
    if (!isAddressEqual(owner, sender))
      warn(`the owner is not ${sender}, the account of this key, which can neither approve nor withdraw`)
    await print(args.json, {
      lines: ['Success: wallet created.', `Address: ${wallet}`, `Owner: ${owner}`, `tx: ${hash}`],
      object: { wallet, owner, factory, tx: hash, block },
    })
  },
})

/** By the reference's name for it. */
export const createWallet = { ...create, meta: { name: 'create-wallet', description } }

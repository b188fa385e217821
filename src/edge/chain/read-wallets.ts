import { encodeFunctionData, erc20Abi, hexToBigInt, isHex, zeroAddress } from 'viem'
import { walletAbi } from '../../protocol/abi/wallet.ts'
import { walletFactoryAbi } from '../../protocol/abi/wallet-factory.ts'
import { type BlockTag, toCall, toParam, toWord } from './call.ts'
import type { Contracts, Status, Subscription } from './chain.ts'
import { isUnasked, type RpcAnswer, type RpcCall } from './rpc.ts'
import { sendApart } from './send-apart.ts'
import type { StatusQuestion } from './status.ts'

/** As much as our Reader gives to a token, and what the call itself takes. */
const fundsGas = 250_000n

/** A token in a wallet, and who may spend it. */
type Held = Pick<Subscription, 'wallet' | 'owner' | 'paymentToken'>

/** `wallets`: by subscription. `unasked`: subscriptions whose wallets there was no time for. */
export type WalletsRead = { wallets: Map<number, NonNullable<Status['wallet']>>; unasked: Set<number> }

/** Of those that pay, from the factory's wallets. What does not say what it has, has nothing. */
export async function readWallets(
  { chain, contracts, block }: Pick<StatusQuestion, 'chain' | 'contracts' | 'block'>,
  subscriptions: readonly Subscription[],
): Promise<WalletsRead> {
  const { rpc } = chain
  const at = block.number
  const paying = subscriptions.filter(({ paymentAmount }) => paymentAmount > 0n)
  const valid = await rpc.send(paying.map(subscription => factoryCall(subscription, { contracts, at })))
  const known = paying.filter((_, index) => toWord(valid[index]) === 1n)
  const answers = await sendApart(
    rpc,
    known.flatMap(subscription => walletCalls(subscription, at)),
  )
  // The wallets of the first deployments do not tell what is free: what they have is the most that it can be.
  const without = known.filter((_, index) => toWord(answers[2 * index]) === null)
  const balances = await sendApart(
    rpc,
    without.map(subscription => balanceCall(subscription, at)),
  )
  const funds = new Map(without.map(({ id }, index) => [id, toQuantity(balances[index])]))
  const wallets = new Map(
    known.map(({ id }, index) => [
      id,
      {
        funds: toWord(answers[2 * index]) ?? funds.get(id) ?? 0n,
        allowance: toWord(answers[2 * index + 1]) ?? 0n,
        prepayment: 0n,
      },
    ]),
  )
  const unasked = [
    ...known.filter((_, index) => isUnasked(answers[2 * index]) || isUnasked(answers[2 * index + 1])),
    ...without.filter((_, index) => isUnasked(balances[index])),
  ]
  return { wallets, unasked: new Set(unasked.map(({ id }) => id)) }
}

/** Asks for all of it at once, of one that pays: what `toWallet` reads. */
export function walletQuestion(
  subscription: Subscription,
  where: { contracts: Pick<Contracts, 'walletFactory'>; at: BlockTag },
): RpcCall[] {
  const { at } = where
  return [factoryCall(subscription, where), ...walletCalls(subscription, at), balanceCall(subscription, at)]
}

/** Null: it is not the factory's. */
export function toWallet([valid, free, allowance, balance]: readonly (
  | RpcAnswer
  | undefined
)[]): Status['wallet'] {
  if (toWord(valid) !== 1n) return null
  const funds = toWord(free) ?? toQuantity(balance)
  return { funds, allowance: toWord(allowance) ?? 0n, prepayment: 0n }
}

function factoryCall(
  { wallet }: Subscription,
  { contracts, at }: { contracts: Pick<Contracts, 'walletFactory'>; at: BlockTag },
): RpcCall {
  const data = encodeFunctionData({ abi: walletFactoryAbi, functionName: 'isValidWallet', args: [wallet] })
  return toCall({ to: contracts.walletFactory, data }, at)
}

/** What a wallet has that is not locked, and how much of it `owner` may spend. */
export function walletCalls({ wallet, owner, paymentToken }: Held, at: BlockTag): RpcCall[] {
  const free = encodeFunctionData({ abi: walletAbi, functionName: 'unlockedBalance', args: [paymentToken] })
  const allowance = encodeFunctionData({
    abi: walletAbi,
    functionName: 'allowance',
    args: [owner, paymentToken],
  })
  return [free, allowance].map(data => toCall({ to: wallet, data, gas: fundsGas }, at))
}

export function balanceCall({ wallet, paymentToken }: Omit<Held, 'owner'>, at: BlockTag): RpcCall {
  if (paymentToken === zeroAddress) return { method: 'eth_getBalance', params: [wallet, toParam(at)] }
  const data = encodeFunctionData({ abi: erc20Abi, functionName: 'balanceOf', args: [wallet] })
  return toCall({ to: paymentToken, data, gas: fundsGas }, at)
}

/** `eth_getBalance` tells a quantity, a token a word. */
export function toQuantity(answer: RpcAnswer | undefined): bigint {
  const data = answer?.result
  return isHex(data) && data !== '0x' && data.length <= 66 ? hexToBigInt(data) : 0n
}

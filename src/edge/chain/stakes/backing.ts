import { type Address, encodeFunctionData, getAddress, isAddress } from 'viem'
import { walletAbi } from '../../../protocol/abi/wallet.ts'
import { returned, toCall, toWord } from '../call.ts'
import { anchorCall } from '../next-id.ts'
import { balanceCall, toQuantity, walletCalls } from '../read-wallets.ts'
import type { RpcAnswer } from '../rpc.ts'
import type { Step } from '../step.ts'
import { inWallet, type Stake, byToken as sumByToken } from './staked.ts'

/**
 * What a wallet can back proofs with, in a token's base units: not locked, and of that what the signer may have locked. null: it is
 * not told.
 */
export type Backing = { free: bigint; allowance: bigint } | null

/** `isOurs`: whether the signer owns the wallet, and so can approve. */
export type Backings = { isOurs: boolean; byToken: ReadonlyMap<Address, Backing> }

/**
 * Reads it at the newest block: whatever was mined is told by the chain. `locked`: what waits for verdicts, which a wallet of the first deployments
 * does not tell.
 * @throws RpcUnavailable
 */
export async function readBackings(
  { chain, contracts, latest }: Step,
  { wallet, tokens, locked }: { wallet: Address; tokens: readonly Address[]; locked: readonly Stake[] },
): Promise<Backings> {
  const { rpc, signer } = chain
  const at = latest.number
  const held = tokens.map(paymentToken => ({ wallet, owner: signer.address, paymentToken }))
  const anchor = anchorCall(contracts, { at, ids: [] })
  const owner = encodeFunctionData({ abi: walletAbi, functionName: 'owner' })
  const [owned, ...answers] = await rpc.send(
    [toCall({ to: wallet, data: owner }, at), ...held.flatMap(each => walletCalls(each, at))],
    anchor,
  )
  const silent = held.filter((_, index) => toWord(answers[2 * index]) === null)
  const balances =
    silent.length === 0
      ? []
      : await rpc.send(
          silent.map(each => balanceCall(each, at)),
          anchor,
        )
  const own = sumByToken(inWallet(locked, wallet))
  const balanceOf = new Map(silent.map(({ paymentToken }, index) => [paymentToken, balances[index]]))
  return {
    isOurs: isAddressOf(owned, signer.address),
    byToken: new Map(
      tokens.map((token, index) => {
        const asked = [answers[2 * index], answers[2 * index + 1], balanceOf.get(token)]
        if (asked.some(answer => answer?.error?.isUnclear)) return [token, null]
        const balance = toQuantity(balanceOf.get(token))
        const rest = balance - (own.get(token) ?? 0n)
        const free = toWord(asked[0]) ?? (rest > 0n ? rest : 0n)
        return [token, { free, allowance: toWord(asked[1]) ?? 0n }]
      }),
    ),
  }
}

function isAddressOf(answer: RpcAnswer | undefined, address: Address): boolean {
  const word = returned(answer)
  const told = word?.length === 66 ? `0x${word.slice(26)}` : ''
  return isAddress(told) && getAddress(told) === getAddress(address)
}

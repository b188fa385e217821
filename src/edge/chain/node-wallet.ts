import { type Address, encodeFunctionData, numberToHex, zeroAddress } from 'viem'
import { walletAbi } from '../../protocol/abi/wallet.ts'
import { walletFactoryAbi } from '../../protocol/abi/wallet-factory.ts'
import type { Log } from '../log.ts'
import { toCall, toWord } from './call.ts'
import type { Chain, Contracts } from './chain.ts'
import { RpcUnavailable } from './rpc.ts'

/**
 * What the chain says of the wallet that this node is paid into. `isValid`: the factory has made it: no other can be paid. `isOwn`: its owner is
 * this node's signer, which can approve itself; else the owner has to, before anything is staked. `problem`: for operators.
 */
export type NodeWallet = { isValid: boolean; isOwn: boolean; owner: Address | null; problem: string | null }

/** A wallet may get another owner; one that is not as it ought to be may be mended, or was not made yet. */
const relookMs = 600_000
const mendMs = 30_000

/** No payment address is configured, or nobody has looked yet. */
export const noWallet: NodeWallet = { isValid: false, isOwn: false, owner: null, problem: null }

/** What was last found of the wallet, and found again from time to time. */
export type WalletWatch = {
  known(): NodeWallet | null
  /** `now`: unix milliseconds of this machine. */
  look(now: number): Promise<NodeWallet>
}

type Watching = {
  chain: Pick<Chain, 'config' | 'rpc' | 'signer'>
  contracts: Pick<Contracts, 'walletFactory'>
  log: Log
}

export function watchNodeWallet({ chain, contracts, log }: Watching): WalletWatch {
  let known: NodeWallet | null = null
  let lookedAt = Number.NEGATIVE_INFINITY

  return {
    known: () => known,
    async look(now) {
      if (chain.config.paymentAddress === zeroAddress) return noWallet
      if (known !== null && now - lookedAt < (known.problem === null ? relookMs : mendMs)) return known
      lookedAt = now
      const found = await readNodeWallet(chain, contracts).catch((error: unknown) => {
        // What was so is believed until somebody says something else; what does not pay is served whatever this is.
        if (error instanceof RpcUnavailable) return known ?? { ...noWallet, problem: error.message }
        throw error
      })
      if (found.problem !== (known?.problem ?? null)) tell(found)
      known = found
      return found
    },
  }

  function tell({ problem }: NodeWallet): void {
    const { id, paymentAddress } = chain.config
    const told = { chain: id, wallet: paymentAddress }
    if (problem === null) log.info('Payment wallet usable', told)
    else log.error('Payment wallet not usable', { ...told, problem })
  }
}

/** One request. @throws RpcUnavailable */
export async function readNodeWallet(
  { config, rpc, signer }: Watching['chain'],
  { walletFactory }: Watching['contracts'],
): Promise<NodeWallet> {
  const { paymentAddress: wallet } = config
  const made = encodeFunctionData({ abi: walletFactoryAbi, functionName: 'isValidWallet', args: [wallet] })
  const [valid, owned] = await rpc.send([
    toCall({ to: walletFactory, data: made }, 'latest'),
    toCall({ to: wallet, data: encodeFunctionData({ abi: walletAbi, functionName: 'owner' }) }, 'latest'),
  ])
  const isValid = toWord(valid)
  if (isValid === null) throw new RpcUnavailable('It is not told whether the factory has made the wallet.')
  if (isValid !== 1n)
    return {
      ...noWallet,
      problem: `The payment address ${wallet} is no wallet of the factory ${walletFactory}: what pays is not answered.`,
    }
  const word = toWord(owned)
  if (word === null) throw new RpcUnavailable('It is not told who owns the wallet.')
  const owner = numberToHex(word, { size: 20 })
  const isOwn = owner === signer.address.toLowerCase()
  return {
    isValid: true,
    isOwn,
    owner,
    problem: isOwn
      ? null
      : `The wallet ${wallet} is owned by ${owner}, not by the signer: it stakes only what its owner has approved the signer for.`,
  }
}

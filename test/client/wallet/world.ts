import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { type Address, encodeFunctionData, getAddress, type Hex, parseEther, zeroAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { createWallets, type Wallets } from '../../../src/client/wallets.ts'
import { walletAbi } from '../../../src/protocol/abi/wallet.ts'
import { startTestChain, type TestChain } from '../../support/chain.ts'
import { inherited } from '../../support/inherited.ts'

const main = fileURLToPath(new URL('../../../src/client/main.ts', import.meta.url))

export const keys = { owner: `0x${'a1'.repeat(32)}`, stranger: `0x${'b2'.repeat(32)}` } as const
export const owner = privateKeyToAccount(keys.owner)
export const stranger = privateKeyToAccount(keys.stranger)
export const spender = getAddress(`0x${'5e'.repeat(20)}`)

export type Ran = { code: number | null; stdout: string; stderr: string }

/** A chain with an owner and a stranger, of 10 ether each, and a wallet of the owner's. */
export type World = {
  chain: TestChain
  /** As the owner. */
  wallets: Wallets
  wallet: Address
  /** The `infernet` command as a shell runs it, with the owner's key in the environment unless it says otherwise. */
  ran(args: readonly string[], env?: Record<string, string>): Promise<Ran>
  /** How many transactions an account has sent. */
  sentBy(account: Address): Promise<number>
  /** As the coordinator does for a stake, or an escrow. */
  lock(wallet: Address, amount: bigint): Promise<void>
  asCoordinator(wallet: Address, data: Hex): Promise<void>
  close(): Promise<void>
}

export async function startWorld(): Promise<World> {
  const chain = await startTestChain()
  const { anvil, coordinator, deployer, rpcUrl, registry } = chain
  for (const { address } of [owner, stranger]) await anvil.setBalance({ address, value: parseEther('10') })
  const wallets = createWallets({ rpcUrl, signer: owner })
  const { wallet } = await wallets.create({ registry })
  const asCoordinator: World['asCoordinator'] = async (wallet, data) => {
    await anvil.impersonateAccount({ address: coordinator })
    await anvil.setBalance({ address: coordinator, value: parseEther('1') })
    const hash = await anvil.request<{ Method: string; Parameters: unknown; ReturnType: Hex }>({
      method: 'eth_sendTransaction',
      params: [
        {
          from: coordinator,
          to: wallet,
          // Before whatever else waits.
          gas: '0x30d40',
          gasPrice: '0x174876e800',
          data,
        },
      ],
    })
    const { status } = await deployer.chain.waitForTransactionReceipt({ hash })
    if (status !== 'success') throw new Error('The wallet refuses its coordinator')
  }
  return {
    chain,
    wallets,
    wallet,
    ran: (args, env = {}) => infernet(args, { RPC_URL: rpcUrl, PRIVATE_KEY: keys.owner, ...env }),
    sentBy: address => deployer.chain.getTransactionCount({ address }),
    async lock(wallet, amount) {
      const args = [spender, zeroAddress, amount] as const
      await asCoordinator(wallet, encodeFunctionData({ abi: walletAbi, functionName: 'cLock', args }))
    },
    asCoordinator,
    close: chain.close,
  }
}

async function infernet(args: readonly string[], env: Record<string, string>): Promise<Ran> {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...inherited(), NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = new Promise<number | null>(resolve => child.once('close', resolve))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { code, stdout, stderr }
}

import { type Abi, type Address, toHex, zeroAddress } from 'viem'
import { createWallets } from '../client/wallets.ts'
import { feeAbi } from '../protocol/abi/fee.ts'
import { deploy } from './chain/deploy.ts'
import { anvilAccount, createDeployer, type LocalChain } from './chain/start.ts'
import { paidAbi, paidBytecode } from './consumers/paid.ts'
import { price, pricedId } from './containers/priced.ts'
import { answered, told } from './demo-chain.ts'
import { accountFor, linesOf } from './payment.ts'
import type { Steps } from './steps.ts'

/**
 * A contract pays for its answer, out of a wallet that is made, funded and approved for it; prints who got what. Throws when no answer comes,
 * and when the balances say anything but the price and the protocol's fee.
 */
export async function payDemo({
  chain,
  url,
  steps,
}: {
  chain: LocalChain
  url: string
  steps: Steps
}): Promise<void> {
  const account = anvilAccount(4)
  const user = createDeployer(chain.rpcUrl, account)
  const wallets = createWallets({ rpcUrl: chain.rpcUrl, signer: account })
  const { wallet } = await wallets.create({ registry: chain.registry })
  const consumer = await deploy(user, paidAbi, paidBytecode, [chain.registry, account.address, wallet])
  await wallets.fund({ wallet, amount: 3n * price })
  await wallets.approve({ wallet, spender: consumer, amount: price })

  const args = [pricedId, toHex('Who is there?'), price]
  const call = { to: consumer, abi: paidAbi as Abi, functionName: 'ask', args }
  const { block, delivery } = await steps.run(
    'contract paid',
    () => answered(user, { chain, url, call }),
    told('Paid.sol', pricedId),
  )
  const hash = delivery.transaction?.hash as `0x${string}`
  const sender = { name: 'node’s account', address: anvilAccount(3).address }
  const accounts = await accountFor(user.chain, {
    token: zeroAddress,
    payer: { name: 'consumer’s wallet', address: wallet },
    takers: [
      { name: 'node’s wallet', address: chain.nodeWallet },
      { name: 'protocol', address: await protocolOf(chain) },
    ],
    sender,
    since: BigInt(block),
    hash,
  })
  await checkPrice(chain, accounts.changes)
  for (const line of linesOf(accounts, { unit: 'ETH', sender })) steps.note(line)
}

async function protocolOf({ rpcUrl, fee }: LocalChain): Promise<Address> {
  const { chain } = createDeployer(rpcUrl, anvilAccount(4))
  return await chain.readContract({ address: fee, abi: feeAbi, functionName: 'FEE_RECIPIENT' })
}

/** The protocol takes its fee of both sides, of the whole price (reference contracts 20). */
async function checkPrice(
  { rpcUrl, fee }: LocalChain,
  changes: readonly { name: string; change: bigint }[],
): Promise<void> {
  const { chain } = createDeployer(rpcUrl, anvilAccount(4))
  const points = await chain.readContract({ address: fee, abi: feeAbi, functionName: 'FEE' })
  const taken = (price * 2n * BigInt(points)) / 10_000n
  const expected = [-price, price - taken, taken]
  const got = changes.map(({ change }) => change)
  if (expected.some((change, index) => change !== got[index]))
    throw new Error(`The balances changed by ${got.join(', ')}, not by ${expected.join(', ')}`)
}

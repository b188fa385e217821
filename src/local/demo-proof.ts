import { type Abi, encodeAbiParameters, hexToBigInt, parseEther, zeroAddress } from 'viem'
import { createWallets } from '../client/wallets.ts'
import { feeAbi } from '../protocol/abi/fee.ts'
import { walletAbi } from '../protocol/abi/wallet.ts'
import { deploy } from './chain/deploy.ts'
import { anvilAccount, createDeployer } from './chain/start.ts'
import { paidWithProofAbi, paidWithProofBytecode } from './consumers/paid-with-proof.ts'
import { answered } from './demo-chain.ts'
import { changeLines, changesOf } from './payment.ts'
import type { ServedChain } from './stack.ts'
import type { Steps } from './steps.ts'

/** The product of two primes; finding the smaller one takes some divisions, checking it one. */
const number = 1_000_003n * 1_000_033n
const price = parseEther('0.01')
const stake = parseEther('1')

/**
 * A paid question, answered with a proof: the node stakes the price, a verifier divides, and the money moves in the answer's transaction. Prints
 * who got what, by the chain's balances. Throws when the proof is not accepted, or the sums do not add up.
 */
export async function runProofDemo({
  chain,
  url,
  steps,
}: {
  chain: ServedChain
  url: string
  steps: Steps
}): Promise<void> {
  const account = anvilAccount(4)
  const user = createDeployer(chain.rpcUrl, account)
  const wallets = createWallets({ rpcUrl: chain.rpcUrl, signer: account })
  const { wallet } = await wallets.create({ registry: chain.registry })
  const terms = [chain.registry, account.address, wallet, chain.verifier]
  const consumer = await deploy(user, paidWithProofAbi, paidWithProofBytecode, terms)
  await wallets.fund({ wallet, amount: 2n * price })
  await wallets.fund({ wallet: chain.nodeWallet, amount: stake })
  await wallets.approve({ wallet, spender: consumer, amount: price })

  const args = ['factor', encodeAbiParameters([{ type: 'uint256' }], [number])]
  const call = { to: consumer, abi: paidWithProofAbi as Abi, functionName: 'ask', args }
  const { id, block, delivery } = await steps.run(
    'proof checked',
    () => answered(user, { chain, url, call }),
    ({ id, delivery: { proof, transaction } }) =>
      `PaidWithProof.sol -> factor, subscription ${id}: proof ${proof?.state} by FactorVerifier.sol in ${transaction?.hash} (${transaction?.gas_used} gas)`,
  )
  if (delivery.proof?.state !== 'accepted')
    throw new Error(`The proof is ${delivery.proof?.state ?? 'not there'}`)
  const output = { address: consumer, abi: paidWithProofAbi, functionName: 'outputs' } as const
  const factor = hexToBigInt(await user.chain.readContract({ ...output, args: [id] }))
  steps.note(`${number} is ${factor} times ${number / factor}`)
  if (number % factor !== 0n) throw new Error(`${factor} does not divide ${number}`)
  const recipient = { address: chain.fee, abi: feeAbi, functionName: 'FEE_RECIPIENT' } as const
  const changes = await changesOf(user.chain, {
    token: zeroAddress,
    parties: [
      { name: 'consumer’s wallet', address: wallet },
      { name: 'node’s wallet', address: chain.nodeWallet },
      { name: 'verifier', address: chain.verifier },
      { name: 'protocol', address: await user.chain.readContract(recipient) },
    ],
    since: BigInt(block),
    until: BigInt(delivery.transaction?.block ?? block),
  })
  for (const line of changeLines(changes, { unit: 'ETH' })) steps.note(line)
  const locked = { address: chain.nodeWallet, abi: walletAbi, functionName: 'lockedBalance' } as const
  if ((await user.chain.readContract({ ...locked, args: [zeroAddress] })) !== 0n)
    throw new Error('The node’s stake did not come back')
}

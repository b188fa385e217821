import { type Address, type Hex, parseEther, zeroAddress } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accountFor, linesOf, type Party } from '../../src/local/payment.ts'
import { type Contract, deploy, startTestChain, type TestChain, transact } from '../support/chain.ts'

/** That it is noticed when sums do not add up. */

const first: Party = { name: 'first', address: `0x${'01'.repeat(20)}` }
const second: Party = { name: 'second one', address: `0x${'02'.repeat(20)}` }
let chain: TestChain
let token: Contract
let self: Address

beforeAll(async () => {
  chain = await startTestChain()
  self = chain.deployer.wallet.account.address
  token = await deploy(chain, { name: 'StrangeToken' })
  await transact(chain, token, { functionName: 'mint', args: [self, parseEther('1000')] })
}, 60_000)
afterAll(async () => await chain?.close())

const block = async () => await chain.deployer.chain.getBlockNumber({ cacheTime: 0 })
const send = async (to: Address) =>
  await transact(chain, token, { functionName: 'transfer', args: [to, parseEther('1.5')] })
const payer = () => ({ name: 'payer', address: self })
const account = async (hash: Hex, { since, takers = [first] }: { since: bigint; takers?: Party[] }) =>
  await accountFor(chain.deployer.chain, {
    ...{ token: token.address, payer: payer(), takers, sender: payer(), since, hash },
  })

describe('accounts', () => {
  test('default: who has what more, and the gas', async () => {
    const since = await block()
    const { transactionHash, gasUsed, effectiveGasPrice } = await send(first.address)
    const accounts = await account(transactionHash, { since, takers: [first, second] })
    expect(accounts).toEqual({
      changes: [
        { ...payer(), change: -parseEther('1.5') },
        { ...first, change: parseEther('1.5') },
        { ...second, change: 0n },
      ],
      gas: gasUsed * effectiveGasPrice,
    })
    const lines = linesOf({ ...accounts, gas: 5n }, { unit: 'TOK', sender: payer() })
    expect(lines).toEqual([
      'payer       -1.5 TOK',
      'first       +1.5 TOK',
      'second one   0 TOK',
      'payer       -0.000000000000000005 ETH of gas',
    ])
  })

  test('behavior: a taker who is not named', async () => {
    const since = await block()
    const { transactionHash } = await send(second.address)
    await expect(account(transactionHash, { since })).rejects.toThrow(
      /do not add up, by -1500000000000000000: payer/,
    )
  })

  test('behavior: a part that is lost on the way', async () => {
    await transact(chain, token, { functionName: 'setLost', args: [100n] })
    const since = await block()
    const { transactionHash } = await send(first.address)
    await expect(account(transactionHash, { since })).rejects.toThrow(/do not add up, by -15000000000000000:/)
    await transact(chain, token, { functionName: 'setLost', args: [0n] })
  })

  test('behavior: a sender who has paid for something else as well', async () => {
    const since = await block()
    await transact(chain, token, { functionName: 'setHook', args: [zeroAddress] })
    const { transactionHash } = await send(first.address)
    await expect(account(transactionHash, { since })).rejects.toThrow(
      /^payer has \d+ wei less, and the gas of 0x/,
    )
  })
})

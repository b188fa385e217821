import { createWalletClient, http, parseEther } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openWalletChain } from '../../../src/client/wallet/chain.ts'
import { transact } from '../../../src/client/wallet/transact.ts'
import { createWallets } from '../../../src/client/wallets.ts'
import { until } from '../../flows/until.ts'
import { type RpcProxyOptions, startRpcProxy } from '../../support/rpc-proxy.ts'
import { owner, spender, startWorld, stranger, type World } from './world.ts'

/** What becomes of transactions on their way. */

let world: World

beforeAll(async () => {
  world = await startWorld()
}, 60_000)
afterAll(async () => await world?.close())
afterEach(async () => {
  await world.chain.anvil.setAutomine(true)
  await world.chain.anvil.mine({ blocks: 1 })
})

const hashIn = (stderr: string) => /hash=(0x\w{64})/.exec(stderr)?.[1] as `0x${string}`
const pending = async () => {
  const { pending } = await world.chain.anvil.getTxpoolStatus()
  return pending
}

/** The chain has taken it, and half of the answer comes. */
function cutting(...methods: string[]): RpcProxyOptions {
  return {
    fault: ({ calls }) => (calls.some(({ method }) => methods.includes(method)) ? { kind: 'cut' } : null),
  }
}

/** The same, and an endpoint that has sent it twice tells what came of the second time. */
function refusing(message: string): RpcProxyOptions {
  return {
    override: ({ method }) =>
      method === 'eth_sendRawTransaction' ? { error: { code: -32_000, message } } : null,
  }
}

describe('a transaction', () => {
  test('behavior: that is not mined in time is told by its hash, and may still be mined', async () => {
    const { chain, wallet, ran } = world
    await chain.anvil.setAutomine(false)
    const { code, stdout, stderr } = await ran(['fund', '-w', wallet, '-a', '7', '--timeout', '1'])
    const hash = hashIn(stderr)
    expect({ code, stdout, stderr }).toEqual({
      code: 75,
      stdout: '',
      stderr: `Transaction ${hash} is not mined after 1 s: it may still be mined. Look for its receipt before you send it again - [hash=${hash}]\n`,
    })
    await chain.anvil.mine({ blocks: 1 })
    expect(await chain.deployer.chain.getTransactionReceipt({ hash })).toMatchObject({ status: 'success' })
    expect(await chain.deployer.chain.getBalance({ address: wallet })).toBe(7n)
  })

  test('behavior: that reverts when it is mined says why', async () => {
    const { chain, ran, wallets, lock } = world
    const { wallet } = await wallets.create({ registry: chain.registry })
    await wallets.fund({ wallet, amount: '1 ether' })
    await wallets.approve({ wallet, spender, amount: '1 ether' })
    await chain.anvil.setAutomine(false)
    const running = ran(['withdraw', '-w', wallet, '-a', '1 ether'])
    await until('it is sent', async () => (await pending()) === 1)
    const locking = lock(wallet, parseEther('0.5'))
    await until('it is overtaken', async () => (await pending()) === 2)
    await chain.anvil.mine({ blocks: 1 })
    await locking
    const { code, stdout, stderr } = await running
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: '',
      stderr: `The wallet has less than that which is not locked - [error=InsufficientFunds, hash=${hashIn(stderr)}]\n`,
    })
    expect(await chain.deployer.chain.getTransactionReceipt({ hash: hashIn(stderr) })).toMatchObject({
      status: 'reverted',
    })
  })

  test('behavior: whose place another one takes is told of', async () => {
    const { chain, wallet, ran, sentBy } = world
    await chain.anvil.setAutomine(false)
    const asked: string[] = []
    await using proxy = await startProxy({
      fault: ({ calls }) => {
        asked.push(...calls.map(({ method }) => method))
        return null
      },
    })
    const running = ran(['fund', '-w', wallet, '-a', '7', '--rpc-url', proxy.url])
    // By its nonce it is known that another one is in its place.
    const looked = () =>
      asked.slice(asked.indexOf('eth_getTransactionByHash')).includes('eth_getBlockByNumber')
    await until('it is looked at', async () => asked.includes('eth_getTransactionByHash') && looked())
    const client = createWalletClient({ account: owner, transport: http(chain.rpcUrl) })
    const instead = await client.sendTransaction({
      ...{ chain: null, to: stranger.address, value: 1n, nonce: await sentBy(owner.address) },
      ...{ maxFeePerGas: 10n ** 11n, maxPriorityFeePerGas: 10n ** 11n },
    })
    await chain.anvil.mine({ blocks: 1 })
    const { code, stderr } = await running
    expect({ code, stderr }).toEqual({
      code: 75,
      stderr: `Another transaction of the account, ${instead}, took the place of ${hashIn(stderr)} - [hash=${hashIn(stderr)}]\n`,
    })
  })

  const answers = [
    ['is lost on the way', cutting('eth_sendRawTransaction', 'eth_getTransactionByHash')],
    ['is that it is there already', refusing('nonce too low')],
  ] as const
  test.for(answers)('behavior: whose answer %s is sent once, and waited for', async ([, wrong]) => {
    const { chain, wallet, sentBy } = world
    await using proxy = await startProxy(wrong)
    const before = { sent: await sentBy(owner.address), has: await balance() }
    const { hash } = await createWallets({ rpcUrl: proxy.url, signer: owner }).fund({ wallet, amount: 9n })
    expect(await chain.deployer.chain.getTransactionReceipt({ hash })).toMatchObject({ status: 'success' })
    expect({ sent: await sentBy(owner.address), has: await balance() }).toEqual({
      sent: before.sent + 1,
      has: before.has + 9n,
    })
  })

  test('behavior: of a wallet client on another chain is not sent', async () => {
    const { chain, wallet, sentBy } = world
    const before = await sentBy(owner.address)
    const client = createWalletClient({ account: owner, transport: http(chain.rpcUrl) })
    const wallets = createWallets({ rpcUrl: chain.rpcUrl, signer: client })
    expect(await wallets.fund({ wallet, amount: 3n })).toMatchObject({ amount: 3n, arrived: 3n })
    await using proxy = await startProxy({ fault: () => ({ kind: 'chain', id: 5 }) })
    const elsewhere = createWalletClient({ account: owner, transport: http(proxy.url) })
    await expect(
      createWallets({ rpcUrl: chain.rpcUrl, signer: elsewhere }).fund({ wallet, amount: 3n }),
    ).rejects.toMatchObject({
      code: 'invalid_request',
      message: 'The wallet client is on chain 5, not on 31337',
    })
    expect(await sentBy(owner.address)).toBe(before + 1)
  })

  test('behavior: that would revert is not sent, whoever asks for it', async () => {
    const { chain } = world
    const before = await world.sentBy(stranger.address)
    const opened = openWalletChain({ rpcUrl: chain.rpcUrl, signer: stranger })
    // `transferOwnership(address(0))` of what is not the stranger's.
    const data = `0xf2fde38b${'0'.repeat(64)}` as const
    await expect(transact(opened, { to: world.wallet, data })).rejects.toMatchObject({
      code: 'reverted',
      params: { error: 'Unauthorized' },
      message: 'Only the owner of the wallet may do that',
    })
    expect(await world.sentBy(stranger.address)).toBe(before)
  })

  async function balance(): Promise<bigint> {
    return await world.chain.deployer.chain.getBalance({ address: world.wallet })
  }

  async function startProxy(options: RpcProxyOptions) {
    const proxy = await startRpcProxy(world.chain.rpcUrl, options)
    return { url: proxy.url, [Symbol.asyncDispose]: proxy.close }
  }
})

describe('a chain that does not answer', () => {
  test('default: exits 69, and what is in its URL is not told', async () => {
    const { code, stdout, stderr } = await world.ran(
      ['wallet', 'balance', '-w', world.wallet, '--rpc-url', 'http://127.0.0.1:1/SECRET'],
      {},
    )
    expect({ code, stdout }).toEqual({ code: 69, stdout: '' })
    expect(stderr).toMatch(/^The chain at 127\.0\.0\.1:1 cannot be asked: HTTP request failed\./)
    expect(stderr).not.toContain('SECRET')
  })
})

import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { type Address, getAddress, parseEther, toFunctionSelector, zeroAddress } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Wallets } from '../../../src/client/wallets.ts'
import type { TestChain } from '../../support/chain.ts'
import { startRpcProxy } from '../../support/rpc-proxy.ts'
import { keys, owner, spender, startWorld, stranger, type World } from './world.ts'

/** The commands, as a shell runs them, on a chain of their own. */

let world: World
let chain: TestChain
let wallets: Wallets
let wallet: Address
let ran: World['ran']

beforeAll(async () => {
  world = await startWorld()
  ;({ chain, wallets, wallet, ran } = world)
}, 60_000)
afterAll(async () => await world?.close())

describe('create', () => {
  test('default: the address is the one that the factory has made, and the owner the key’s account', async () => {
    const { code, stdout, stderr } = await ran(['wallet', 'create', '--factory', chain.walletFactory])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [, address = '', of] =
      /^Success: wallet created\.\n\tAddress: (0x\w{40})\n\tOwner: (0x\w{40})\n\ttx: 0x\w{64}\n$/.exec(
        stdout,
      ) ?? []
    expect(of).toBe(owner.address)
    const report = await wallets.balance({
      wallet: address as Address,
      place: { factory: chain.walletFactory },
    })
    expect(report).toMatchObject({ owner: owner.address, isValid: true, total: 0n })
  })

  test('behavior: of a registry, for somebody else, which is warned of', async () => {
    const args = [
      'create-wallet',
      '--registry',
      chain.registry,
      '--owner',
      stranger.address.toLowerCase(),
      '--json',
    ]
    const { code, stdout, stderr } = await ran(args)
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `Warning: the owner is not ${owner.address}, the account of this key, which can neither approve nor withdraw\n`,
    })
    expect(JSON.parse(stdout)).toEqual({
      wallet: expect.stringMatching(/^0x\w{40}$/),
      owner: stranger.address.toLowerCase(),
      factory: getAddress(chain.walletFactory),
      tx: expect.stringMatching(/^0x[0-9a-f]{64}$/),
      block: expect.stringMatching(/^\d+$/),
    })
  })

  test('behavior: where there is no factory nothing is sent', async () => {
    const before = await world.sentBy(owner.address)
    const said = async (...args: string[]) => {
      const { code, stderr } = await ran(['wallet', 'create', ...args])
      return [code, stderr]
    }
    expect(await said()).toEqual([64, 'Name the factory with --factory or --registry\n'])
    expect(await said('--factory', spender)).toEqual([
      64,
      `There is no factory at ${spender}: nothing there has an isValidWallet()\n`,
    ])
    expect(await said('--registry', chain.walletFactory)).toEqual([
      64,
      `There is no registry at ${chain.walletFactory}: nothing there has a WALLET_FACTORY()\n`,
    ])
    expect(await said('--factory', spender, '--registry', spender)).toEqual([
      64,
      '--factory and --registry say the same\n',
    ])
    expect(await world.sentBy(owner.address)).toBe(before)
  })
})

describe('ETH', () => {
  test('default: approved, funded, looked at, withdrawn', async () => {
    const { wallet } = await wallets.create({ registry: chain.registry })
    const approved = await ran(['approve', '-w', wallet, '-s', spender, '-a', '0.25 ether'])
    expect(approved).toMatchObject({ code: 0, stderr: '' })
    expect(approved.stdout).toMatch(
      new RegExp(
        `^Success: approved spender: ${spender} for\n\tamount: 0\\.25 ether\n\ttoken: ${zeroAddress}\n\ttx: 0x\\w{64}\n$`,
      ),
    )
    const asked = await ran(['wallet', 'allowance', '-w', wallet, '-s', spender])
    expect(asked).toEqual({ code: 0, stdout: `${parseEther('0.25')}\n`, stderr: '' })

    const funded = await ran(['fund', '-w', wallet, '-a', '0.1 ether'])
    expect(funded).toMatchObject({ code: 0, stderr: '' })
    expect(funded.stdout).toMatch(
      new RegExp(
        `^Success: sent\n\tamount: 0\\.1 ether\n\ttoken: ${zeroAddress}\n\tto wallet: ${wallet}\n\ttx: 0x\\w{64}\n$`,
      ),
    )

    await world.lock(wallet, parseEther('0.03'))
    const seen = await ran(['wallet', 'balance', '-w', wallet, '--factory', chain.walletFactory])
    expect(seen).toEqual({
      code: 0,
      stderr: '',
      stdout: `${[
        `Wallet: ${wallet}`,
        `owner: ${owner.address}`,
        'made by the factory: yes',
        `token: ${zeroAddress} (ETH)`,
        'total: 100000000000000000 (0.1 ETH)',
        'locked: 30000000000000000 (0.03 ETH)',
        'unlocked: 70000000000000000 (0.07 ETH)',
      ].join('\n\t')}\n`,
    })
    const json = await ran(['wallet', 'balance', '-w', wallet.toLowerCase(), '--json'])
    expect(JSON.parse(json.stdout)).toMatchObject({
      total: '100000000000000000',
      locked: '30000000000000000',
      unlocked: '70000000000000000',
      decimals: 18,
      made_by_factory: null,
    })

    expect(await ran(['withdraw', '-w', wallet, '-a', '0.08 ether'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'The wallet has less than that which is not locked - [error=InsufficientFunds]\n',
    })
    const withdrawn = await ran(['withdraw', '-w', wallet, '-a', '0.07 ether'])
    expect(withdrawn).toMatchObject({ code: 0, stderr: '' })
    expect(withdrawn.stdout).toMatch(
      /^Success: withdrawal of amount: 0\.07 ether\n\ttoken: 0x0{40}\n\ttx: 0x\w{64}\n$/,
    )
    expect(await chain.deployer.chain.getBalance({ address: wallet })).toBe(parseEther('0.03'))
  }, 60_000)

  test('behavior: what is refused is not sent', async () => {
    const before = await world.sentBy(stranger.address)
    const said = async (...args: string[]) => {
      const { code, stdout, stderr } = await ran(['wallet', ...args], { PRIVATE_KEY: keys.stranger })
      expect(stdout).toBe('')
      return [code, stderr]
    }
    const foreign = `The owner of ${wallet} is ${owner.address}, the key is that of ${stranger.address}\n`
    expect(await said('withdraw', '-w', wallet, '-a', '1')).toEqual([64, foreign])
    expect(await said('approve', '-w', wallet, '-s', spender, '-a', '1')).toEqual([64, foreign])
    expect(await said('fund', '-w', spender, '-a', '1')).toEqual([
      64,
      `There is no wallet at ${spender}: nothing there has an owner()\n`,
    ])
    expect(await said('fund', '-w', wallet, '-a', '11 ether')).toEqual([
      64,
      expect.stringMatching(
        new RegExp(`^${stranger.address} has \\d+ base units of ETH, not 11000000000000000000\n$`),
      ),
    ])
    expect(await said('fund', '-w', wallet, '-a', '10 ether')).toEqual([
      1,
      expect.stringMatching(
        new RegExp(`^${stranger.address} has not enough to pay for it - \\[hash=0x\\w{64}]\n$`),
      ),
    ])
    expect(await said('fund', '-w', wallet, '-a', '1 euro')).toEqual([
      64,
      expect.stringMatching(/^Not a unit: euro/),
    ])
    expect(await said('fund', '-w', wallet, '-a', '1', '-t', spender)).toEqual([
      64,
      `There is no token at ${spender}\n`,
    ])
    expect(await said('balance', '-w', wallet.toUpperCase().replace('X', 'x'))).toEqual([
      64,
      '--wallet must be an address with a right checksum, or in lower case\n',
    ])
    expect(await world.sentBy(stranger.address)).toBe(before)
  }, 60_000)
})

describe('a wallet of the first deployments', () => {
  test('default: what it does not tell is not made up, and the rest works', async () => {
    const unknown = ['lockedBalance(address)', 'unlockedBalance(address)'].map(toFunctionSelector)
    const proxy = await startRpcProxy(chain.rpcUrl, {
      override: ({ params }) =>
        unknown.some(selector => `${JSON.stringify(params)}`.includes(`"${selector}`))
          ? { error: { code: 3, message: 'execution reverted', data: '0x' } }
          : null,
    })
    const { wallet } = await wallets.create({ registry: chain.registry })
    await wallets.fund({ wallet, amount: 5n })
    const on = ['-w', wallet, '--rpc-url', proxy.url]
    const seen = await ran(['wallet', 'balance', ...on, '--json'])
    expect(JSON.parse(seen.stdout)).toMatchObject({
      total: '5',
      locked: null,
      unlocked: null,
      owner: owner.address,
    })
    const { stdout } = await ran(['wallet', 'balance', ...on])
    expect(stdout).toMatch(
      /\ttotal: 5 \(0\.000000000000000005 ETH\)\n\tlocked: the wallet does not tell\n\tunlocked: the wallet does not tell\n$/,
    )
    expect(await ran(['withdraw', ...on, '-a', '5'])).toMatchObject({ code: 0, stderr: '' })
    await proxy.close()
  }, 60_000)
})

test('behavior: help names the commands and their options', async () => {
  expect((await ran(['--help'])).stdout).toMatch(/ wallet +Wallets: what consumers pay from/)
  for (const name of ['create', 'approve', 'fund', 'withdraw', 'balance', 'allowance', 'owed', 'claim'])
    expect((await ran(['wallet', '--help'])).stdout).toContain(` ${name} `)
  const { stdout } = await ran(['create-wallet', '--help'])
  expect(stdout).toContain('infernet create-wallet')
  for (const option of [
    '--factory',
    '--registry',
    '--owner',
    '--rpc-url',
    '--private-key',
    '--timeout',
    '--json',
  ])
    expect(stdout).toContain(option)
}, 60_000)

test('behavior: the functions need no platform', async () => {
  const contents = `export { createWallets } from './src/client/wallets.ts'`
  const resolveDir = fileURLToPath(new URL('../../..', import.meta.url))
  // `neutral` resolves no module of any platform: an import of one fails the build.
  const built = build({
    ...{ stdin: { contents, resolveDir, loader: 'ts' }, bundle: true, write: false, format: 'esm' },
    ...{ platform: 'neutral', conditions: ['workerd'], target: 'es2022', logLevel: 'silent' },
  })
  await expect(built).resolves.toMatchObject({ errors: [], warnings: [] })
})

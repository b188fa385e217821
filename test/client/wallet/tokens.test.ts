import { type Address, encodeFunctionData, maxUint256 } from 'viem'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { walletAbi } from '../../../src/protocol/abi/wallet.ts'
import { type Contract, deploy, transact } from '../../support/chain.ts'
import { keys, owner, spender, startWorld, stranger, type World } from './world.ts'

/** The commands with tokens, the odd ones among them. */

let world: World
let wallet: Address

beforeAll(async () => {
  world = await startWorld()
  wallet = world.wallet
}, 60_000)
afterAll(async () => await world?.close())

/** One of which the owner has a million base units, or as many as it is said. */
async function tokenOf(
  name: string,
  file = name,
  { args = [] as unknown[], minted = 1_000_000n } = {},
): Promise<Contract> {
  const token = await deploy(world.chain, { name, file, args })
  await transact(world.chain, token, { functionName: 'mint', args: [owner.address, minted] })
  return token
}

const set = async (token: Contract, functionName: string, ...args: unknown[]) =>
  await transact(world.chain, token, { functionName, args })
const has = async (token: Contract, account: Address) =>
  await world.chain.deployer.chain.readContract({ ...token, functionName: 'balanceOf', args: [account] })
const move = async (command: 'fund' | 'withdraw', token: Contract, amount = '1000') =>
  await world.ran([command, '-w', wallet, '-t', token.address, '-a', amount])
const done = { code: 0, stderr: '', stdout: expect.stringMatching(/^Success: [\s\S]*tx: 0x\w{64}\n$/) }

describe.for([6, 24])('a token of %d decimals', decimals => {
  test('default: amounts in its own unit, approved, funded, looked at, withdrawn', async () => {
    const unit = 10n ** BigInt(decimals)
    const token = await tokenOf('DecimalToken', 'DecimalToken', { args: [decimals], minted: 100n * unit })
    const { address } = token
    const args = ['-w', wallet, '-t', address]
    expect(await world.ran(['approve', ...args, '-s', spender, '-a', '2.5 token'])).toEqual(done)
    const asked = await world.ran(['wallet', 'allowance', ...args, '-s', spender, '--json'])
    expect(JSON.parse(asked.stdout)).toEqual({
      wallet,
      spender,
      token: address,
      allowance: String((unit * 5n) / 2n),
    })
    expect(await move('fund', token, '1.25 tokens')).toEqual(done)
    expect(await has(token, wallet)).toBe((unit * 5n) / 4n)
    const { stdout } = await world.ran(['wallet', 'balance', ...args])
    expect(stdout).toContain(`total: ${(unit * 5n) / 4n} (1.25 TOK)\n\tlocked: 0 (0 TOK)\n`)
    expect(await move('withdraw', token, '1 token')).toEqual(done)
    expect(await has(token, wallet)).toBe(unit / 4n)
    expect(await has(token, owner.address)).toBe((unit * 399n) / 4n)
  }, 60_000)
})

describe('odd tokens', () => {
  test('behavior: one that says nothing when it has sent', async () => {
    const token = await tokenOf('SilentToken', 'OddTokens')
    expect(await move('fund', token)).toEqual(done)
    expect(await has(token, wallet)).toBe(1000n)
    expect(await move('withdraw', token, '400')).toEqual(done)
    expect(await has(token, wallet)).toBe(600n)
    expect(await move('fund', token, '999401')).toEqual({
      code: 64,
      stdout: '',
      stderr: `${owner.address} has 999400 base units of ${token.address}, not 999401\n`,
    })
  }, 60_000)

  test('behavior: one that keeps a part: what arrived is told', async () => {
    const token = await tokenOf('StrangeToken')
    await set(token, 'setLost', 250n)
    const funded = await move('fund', token)
    expect(funded).toMatchObject({ code: 0, stderr: '' })
    expect(funded.stdout).toMatch(
      /tx: 0x\w{64}\n\tarrived: 975 of 1000 base units: the token gives less than it is sent\n$/,
    )
    const withdrawn = await world.ran(['withdraw', '-w', wallet, '-t', token.address, '-a', '200', '--json'])
    expect(JSON.parse(withdrawn.stdout)).toMatchObject({ amount: '200', arrived: '195' })
  }, 60_000)

  test('behavior: what others move in the same block is not told as arrived', async () => {
    const token = await tokenOf('StrangeToken')
    await set(token, 'setLost', 250n)
    const { anvil, deployer } = world.chain
    await transact(world.chain, token, {
      functionName: 'mint',
      args: [deployer.wallet.account.address, 10_000n],
    })
    for (const command of ['fund', 'withdraw'] as const) {
      await anvil.setAutomine(false)
      const moving = move(command, token, '400')
      await vi.waitFor(async () => expect((await anvil.getTxpoolStatus()).pending).toBe(1), 20_000)
      // To whoever gets it.
      const to = command === 'fund' ? wallet : owner.address
      const hash = await deployer.wallet.writeContract({
        ...token,
        functionName: 'transfer',
        args: [to, 3_000n],
        gas: 200_000n,
      })
      await anvil.mine({ blocks: 1 })
      await anvil.setAutomine(true)
      await deployer.chain.waitForTransactionReceipt({ hash })
      expect((await moving).stdout).toContain('arrived: 390 of 400 base units')
    }
  }, 60_000)

  test('behavior: one that keeps all has moved nothing', async () => {
    const token = await tokenOf('StrangeToken')
    await set(token, 'setLost', 10_000n)
    expect(await move('fund', token)).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^The token took the transaction, and moved nothing - \[hash=0x\w{64}]\n$/,
      ),
    })
  }, 60_000)

  test('behavior: one that says false is not sent to', async () => {
    const token = await tokenOf('FalseToken', 'OddTokens')
    const before = await world.sentBy(owner.address)
    expect(await move('fund', token)).toEqual({
      code: 1,
      stdout: '',
      stderr: `The token ${token.address} refuses: it answers false\n`,
    })
    await transact(world.chain, token, { functionName: 'mint', args: [wallet, 5n] })
    expect(await move('withdraw', token, '5')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'The token did not send: it reverted, or answered false - [error=TransferFailed]\n',
    })
    expect(await world.sentBy(owner.address)).toBe(before)
  }, 60_000)

  test('behavior: one that blocks the wallet', async () => {
    const token = await tokenOf('StrangeToken')
    expect(await move('fund', token)).toEqual(done)
    await set(token, 'setBlocked', wallet, true)
    expect(await move('fund', token)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'The contract refuses: blocked\n',
    })
    expect(await move('withdraw', token)).toMatchObject({
      code: 1,
      stderr: 'The token did not send: it reverted, or answered false - [error=TransferFailed]\n',
    })
    await set(token, 'setAnswers', true, false, false)
    expect(await move('fund', token)).toMatchObject({
      code: 1,
      stderr: `The token ${token.address} refuses: it answers false\n`,
    })
    await set(token, 'setAnswers', false, false, true)
    expect(await move('fund', token)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^The contract refuses/),
    })
  }, 60_000)

  test('behavior: one that does not tell what anyone has', async () => {
    const token = await tokenOf('BlindToken', 'OddTokens')
    // Its log tells what has arrived.
    expect(await move('fund', token)).toEqual(done)
    const looked = await world.ran(['wallet', 'balance', '-w', wallet, '-t', token.address])
    expect(looked).toMatchObject({
      code: 64,
      stderr: `The token ${token.address} does not say what the wallet has\n`,
    })
  }, 60_000)

  test('behavior: one that does not tell its decimals takes base units', async () => {
    const token = await tokenOf('SilentToken', 'OddTokens')
    expect(await move('fund', token, '1 token')).toEqual({
      code: 64,
      stdout: '',
      stderr: 'The token does not tell its decimals: 1 token has to be written in base units\n',
    })
    const { stdout } = await world.ran(['wallet', 'balance', '-w', wallet, '-t', token.address])
    expect(stdout).toContain(`token: ${token.address}\n\ttotal: 0\n`)
  }, 60_000)

  test('behavior: all that there can be is approved to the last digit', async () => {
    const token = await tokenOf('Token', 'Tokens')
    const args = ['-w', wallet, '-t', token.address, '-s', spender]
    expect(await world.ran(['wallet', 'approve', ...args, '-a', String(maxUint256)])).toEqual(done)
    expect((await world.ran(['wallet', 'allowance', ...args])).stdout).toBe(`${maxUint256}\n`)
    expect(await world.ran(['wallet', 'approve', ...args, '-a', '0'])).toEqual(done)
    expect((await world.ran(['wallet', 'allowance', ...args])).stdout).toBe('0\n')
  }, 60_000)
})

describe('debts', () => {
  const settled = (functionName: 'cLock' | 'cSettle', args: readonly unknown[]) =>
    encodeFunctionData({ abi: walletAbi, functionName, args: args as never })

  test('default: what a token has not let through is told, and claimed by anybody once it does', async () => {
    const token = await tokenOf('StrangeToken')
    await set(token, 'mint', wallet, 1000n)
    await set(token, 'setBlocked', stranger.address, true)
    await world.wallets.approve({ wallet, spender, token: token.address, amount: 1000n })
    await world.asCoordinator(wallet, settled('cLock', [spender, token.address, 1000n]))
    await world.asCoordinator(wallet, settled('cSettle', [spender, token.address, stranger.address, 600n]))
    const args = ['-w', wallet, '-t', token.address, '--to', stranger.address]
    expect(await world.ran(['wallet', 'owed', ...args])).toEqual({ code: 0, stdout: '600\n', stderr: '' })
    const asked = await world.ran(['wallet', 'owed', ...args, '--json'])
    expect(JSON.parse(asked.stdout)).toEqual({
      wallet,
      to: stranger.address,
      token: token.address,
      owed: '600',
    })
    expect(await world.ran(['wallet', 'claim', ...args])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'The token did not send: it reverted, or answered false - [error=TransferFailed]\n',
    })
    await set(token, 'setBlocked', stranger.address, false)
    await set(token, 'setLost', 100n)
    const claimed = await world.ran(['wallet', 'claim', ...args], { PRIVATE_KEY: keys.stranger })
    expect(claimed).toMatchObject({ code: 0, stderr: '' })
    expect(claimed.stdout).toMatch(
      /^Success: claimed\n\tamount: 600\n[\s\S]*tx: 0x\w{64}\n\tarrived: 594 of 600 base units: /,
    )
    expect(await has(token, stranger.address)).toBe(594n)
    expect(await world.wallets.owed({ wallet, to: stranger.address, token: token.address })).toBe(0n)
    const before = await world.sentBy(owner.address)
    expect(await world.ran(['wallet', 'claim', ...args])).toEqual({
      code: 64,
      stdout: '',
      stderr: `${wallet} owes ${stranger.address} nothing of ${token.address}\n`,
    })
    expect(await world.sentBy(owner.address)).toBe(before)
  }, 60_000)

  test('behavior: where there is no wallet nothing is owed', async () => {
    const args = ['-w', spender, '--to', stranger.address]
    expect(await world.ran(['wallet', 'owed', ...args])).toMatchObject({
      code: 64,
      stderr: `There is no wallet at ${spender}: nothing there has an owner()\n`,
    })
  }, 60_000)
})

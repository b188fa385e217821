import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Address, parseEther, zeroAddress } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Contract, deploy, transact } from '../../support/chain.ts'
import { installReference } from '../python/install.ts'
import { keys, owner, spender, startWorld, type World } from './world.ts'

/** The reference's own commands on our contracts; and ours, with the same options, say and do the same. */

const script = fileURLToPath(new URL('../python/reference.py', import.meta.url))
const run = promisify(execFile)

const reference = await installReference('chain')
if ('missing' in reference) {
  const untested = `The reference's wallet commands are not tested: ${reference.missing}`
  if (process.env.CI === 'true') throw new Error(untested)
  console.warn(untested)
}
const python = 'python' in reference ? reference.python : ''

describe.skipIf(python === '')("the reference's Python client 1.4.0", () => {
  let world: World
  let token: Contract

  beforeAll(async () => {
    world = await startWorld()
    token = await deploy(world.chain, { name: 'Token', file: 'Tokens' })
    const minted = { functionName: 'mint', args: [owner.address, parseEther('5')] }
    await transact(world.chain, token, minted)
  }, 60_000)
  afterAll(async () => await world?.close())

  const theirs = async (args: readonly string[]) =>
    (await run(python, [script, 'cli', ...args], { env: { ...process.env, RPC_URL: world.chain.rpcUrl } }))
      .stdout
  const ours = async (args: readonly string[]) => {
    const { code, stdout, stderr } = await world.ran(args, { PRIVATE_KEY: '' })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return stdout
  }
  const has = async (address: Address, of: Address) =>
    of === zeroAddress
      ? await world.chain.deployer.chain.getBalance({ address })
      : await world.chain.deployer.chain.readContract({
          ...token,
          functionName: 'balanceOf',
          args: [address],
        })

  const commands = [
    ['theirs', theirs],
    ['ours', ours],
  ] as const
  test.for(commands)(
    'default: make, approve, fund and withdraw, by %s',
    {
      timeout: 90_000,
    },
    async ([, command]) => {
      const key = ['-pk', keys.owner]
      const created = await command(['create-wallet', '--factory', world.chain.walletFactory, ...key])
      const [, wallet = ''] = /^Success: wallet created\.\n\tAddress: (0x\w{40})\n/.exec(created) ?? []
      expect(created).toContain(`\n\tOwner: ${owner.address}\n`)
      for (const of of [zeroAddress, token.address]) {
        const on = ['-w', wallet, '-t', of, ...key]
        const tx = '\n\ttx: 0x\\w{64}\n$'
        expect(await command(['approve', ...on, '-s', spender, '-a', '3 gwei'])).toMatch(
          new RegExp(`^Success: approved spender: ${spender} for\n\tamount: 3 gwei\n\ttoken: ${of}${tx}`),
        )
        expect(await command(['fund', ...on, '-a', '0.3 ether'])).toMatch(
          new RegExp(`^Success: sent\n\tamount: 0\\.3 ether\n\ttoken: ${of}\n\tto wallet: ${wallet}${tx}`),
        )
        expect(await command(['withdraw', ...on, '-a', '1000'])).toMatch(
          new RegExp(`^Success: withdrawal of amount: 1000\n\ttoken: ${of}${tx}`),
        )
        const place = { wallet: wallet as Address, token: of }
        expect(await world.wallets.allowance({ ...place, spender })).toBe(3_000_000_000n)
        expect(await has(place.wallet, of)).toBe(parseEther('0.3') - 1000n)
      }
    },
  )
})

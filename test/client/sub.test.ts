import { spawn } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { sql } from 'drizzle-orm'
import * as v from 'valibot'
import { type Address, getAddress, zeroAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { containersHash } from '../../src/client/containers-hash.ts'
import { signDelegatedSubscription } from '../../src/client/sign.ts'
import { createWallet } from '../../src/local/chain/start.ts'
import { eip712CoordinatorAbi } from '../../src/protocol/abi/eip712-coordinator.ts'
import { DelegatedCreated, parseDelegated } from '../../src/protocol/delegated.ts'
import { toDelegation } from '../../src/protocol/delegation.ts'
import { parseJson, plain } from '../../src/protocol/json.ts'
import { deploy, nodeAddress, startTestChain, type TestChain, transact } from '../support/chain.ts'
import { inherited } from '../support/inherited.ts'
import { policyOf } from '../support/runner.ts'
import { type ChainNode, startChainNode } from './chain-node.ts'
import { infoOf, startFakeNode } from './fake-node.ts'

const main = fileURLToPath(new URL('../../src/client/main.ts', import.meta.url))
const privateKey = `0x${'d4'.repeat(32)}` as const
const account = privateKeyToAccount(privateKey)
let chain: TestChain
let consumer: Address
let node: ChainNode
let folder: string
let key: string
let params: string
let wallet: Address

beforeAll(async () => {
  chain = await startTestChain()
  const args = [chain.registry, account.address]
  wallet = await createWallet(chain.deployer, chain.walletFactory, chain.deployer.wallet.account.address)
  consumer = getAddress((await deploy(chain, { name: 'EmptyDelegator', file: 'Bench', args })).address)
  node = await startChainNode(chain, {
    containers: [policyOf('hello-world'), policyOf('careful', { signed_data: true })],
    config: { payment_address: nodeAddress },
  })
  folder = await mkdtemp(join(tmpdir(), 'infernet-sub-'))
  key = await file('key', `${privateKey.slice(2)}\n`, 0o600)
  params = await file('params.json', paramsText())
}, 120_000)
afterAll(async () => {
  await node?.[Symbol.asyncDispose]()
  await chain?.close()
  if (folder) await rm(folder, { recursive: true })
})

const amount = 2n ** 200n + 1n
/** What is in the wallet matters from then on. */
const activeAt = Math.floor(Date.now() / 1000) + 86_400
const data = '{"n":1.0,"big":9007199254740993}'
const paramsText = (fields = '') =>
  `{"subscription":{"owner":"${consumer}","containers":["hello-world"],"payment_amount":${amount},"wallet":"${wallet}","active_at":${activeAt}${fields}},"data":${data}}`

async function file(name: string, content: string, mode = 0o644): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  await chmod(path, mode)
  return path
}

async function infernet(
  args: string[],
  { stdin = '', url = node.url }: { stdin?: string; url?: string } = {},
) {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...inherited(), SERVER_URL: url, NO_COLOR: '1' },
  })
  child.stdin.on('error', () => {}).end(stdin)
  const exited = new Promise<number | null>(resolve => child.once('close', resolve))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { code, stdout, stderr }
}

const sub = (args: string[], options?: { stdin?: string; url?: string }) =>
  infernet(['sub', '--params', params, '--key', key, ...args], options)
/** What the node keeps of what a command says was taken on. */
async function kept(stdout: string) {
  const { id } = v.parse(v.strictObject(DelegatedCreated.entries), JSON.parse(stdout))
  const [row] = await node.edge.db.orm.all<{ nonce: number; expiry: number; data: string }>(sql`
    select delegations.nonce, delegations.owner, expiry, data, data_signed, payment_amount
    from delegations join subscriptions on subscriptions.chain = delegations.chain and subscriptions.id = delegations.subscription
    where delegations.id = ${id}`)
  if (!row) throw new Error(`Nothing is kept of ${id}`)
  return row
}
const requestOf = (body: string) => {
  const { request, problems } = parseDelegated(plain(parseJson(body)))
  if (!request) throw new Error(`${problems}: ${body}`)
  return request
}

/** Submits what was signed. @returns the subscription's id. */
async function submit(body: string): Promise<number> {
  const { subscription, signature } = requestOf(body)
  const { nonce, expiry, sub } = toDelegation(subscription, signature)
  const { v, r, s } = signature
  const coordinator = { address: chain.coordinator, abi: eip712CoordinatorAbi } as const
  const call = {
    functionName: 'createSubscriptionDelegatee',
    args: [nonce, expiry, sub, v, r, s],
  } as const
  const { result } = await chain.deployer.chain.simulateContract({ ...coordinator, ...call })
  await transact(chain, coordinator, call)
  return result
}

test('default: a subscription is signed with a nonce that is free, and sent', async () => {
  const ran = await sub(['--rpc', chain.rpcUrl])
  expect(ran).toMatchObject({ code: 0, stderr: '' })
  expect(ran.stdout).toBe(`${JSON.stringify(JSON.parse(ran.stdout), null, 2)}\n`)
  const first = await kept(ran.stdout)
  expect(first).toMatchObject({ owner: consumer.toLowerCase(), data, payment_amount: String(amount) })
  expect(first.expiry).toBe(activeAt + 3600)
  const second = await sub(['--rpc', chain.rpcUrl])
  expect((await kept(second.stdout)).nonce).not.toBe(first.nonce)
})

test('default: what is signed is answered on the chain', async () => {
  const unpaid = await file(
    'unpaid.json',
    paramsText().replace(String(amount), '0').replace(String(activeAt), '0'),
  )
  const ran = await sub(['--params', unpaid, '--nonce', '900'])
  expect(ran).toMatchObject({ code: 0, stderr: '' })
  expect(await kept(ran.stdout)).toMatchObject({ nonce: 900, data })
  const { subscription } = await node.answered(consumer, 900)
  expect(subscription).toMatchObject({ owner: consumer, containerId: containersHash(['hello-world']) })
})

test('default: --sign-data signs for the data, too', async () => {
  const careful = await file('careful.json', paramsText().replace('hello-world', 'careful'))
  const args = ['--params', careful, '--nonce', '901']
  expect(await sub(args)).toMatchObject({
    code: 1,
    stderr: `[403] The data has to be signed as well - [owner=${consumer.toLowerCase()}]\n`,
  })
  const ran = await sub([...args, '--sign-data'])
  expect(ran).toMatchObject({ code: 0, stderr: '' })
  expect(await kept(ran.stdout)).toMatchObject({ nonce: 901, data, data_signed: 1 })
  const dry = await sub([...args, '--sign-data', '--dry-run'])
  expect(requestOf(dry.stdout).data_signature).toMatch(/^0x[0-9a-f]{130}$/)
})

test('default: --dry-run prints what would be sent, and needs no node', async () => {
  const named = ['--chain', '31337', '--address', chain.coordinator, '--nonce', '7', '--expiry', '4000000000']
  const ran = await sub([...named, '--dry-run', '--url', 'http://127.0.0.1:1'])
  expect(ran).toMatchObject({ code: 0, stderr: '' })
  const signed = await signDelegatedSubscription(account, {
    subscription: {
      owner: consumer,
      containers: ['hello-world'],
      payment_amount: amount,
      wallet,
      active_at: activeAt,
    },
    nonce: 7,
    expiry: 4_000_000_000,
    chainId: 31_337,
    coordinator: chain.coordinator,
  })
  expect(requestOf(ran.stdout)).toEqual({ ...signed, data_signature: null })
  expect(ran.stdout).toMatch(/,"data":\{"n":1\.0,"big":9007199254740993}}\n$/)
})

test("behavior: the reference's files: fields alone, and the data beside", async () => {
  const fields = `{"owner":"${consumer}","active_at":1700000000,"period":60,"frequency":3,"redundancy":1,"containers":["a","b"],
    "lazy":false,"verifier":"${zeroAddress}","payment_amount":0,"payment_token":"${zeroAddress}","wallet":"${zeroAddress}"}`
  const bare = await file('bare.json', fields)
  const input = await file('input.json', ' {"a": 1.50}')
  const args = ['--params', bare, '--nonce', '3', '--dry-run']
  expect((await sub([...args, '-i', input])).stdout).toMatch(/,"data": \{"a": 1\.50}}\n$/)
  const { stdout } = await sub(args, { stdin: '{"b":2}' })
  expect(stdout).toMatch(/,"data":\{"b":2}}\n$/)
  expect(requestOf(stdout)).toMatchObject({ subscription: { period: 60, frequency: 3 }, chain_id: 31_337 })
})

test('behavior: a nonce that is used or taken back is refused, as far as the chain is asked', async () => {
  const { stdout } = await sub(['--nonce', '11', '--dry-run'])
  const id = await submit(stdout)
  expect(await sub(['--nonce', '11', '--rpc', chain.rpcUrl])).toEqual({
    code: 64,
    stdout: '',
    stderr: `Nonce 11 stands for subscription ${id} already\n`,
  })
  const { anvil, deployer } = chain
  await anvil.setBalance({ address: account.address, value: 10n ** 18n })
  const hash = await deployer.wallet.writeContract({
    account,
    address: chain.coordinator,
    abi: eip712CoordinatorAbi,
    functionName: 'invalidateNonce',
    args: [consumer, 12],
  })
  await deployer.chain.waitForTransactionReceipt({ hash })
  expect(await sub(['--nonce', '12', '--rpc', chain.rpcUrl])).toMatchObject({
    code: 64,
    stderr: 'Nonce 12 was invalidated\n',
  })
  expect(await sub(['--nonce', '13', '--rpc', chain.rpcUrl])).toMatchObject({ code: 0 })
})

test('behavior: a key that the owner does not know is refused, where the chain is asked', async () => {
  const other = await file('other', `0x${'e5'.repeat(32)}`, 0o600)
  const { address } = privateKeyToAccount(`0x${'e5'.repeat(32)}`)
  expect(await sub(['--key', other, '--rpc', chain.rpcUrl])).toEqual({
    code: 64,
    stdout: '',
    stderr: `Subscriptions of ${consumer} are signed by ${account.address}, the key is that of ${address}\n`,
  })
  const stranger = await file('stranger.json', paramsText().replace(consumer, getAddress(account.address)))
  expect(await sub(['--params', stranger, '--rpc', chain.rpcUrl])).toMatchObject({
    code: 64,
    stderr: `The owner ${account.address} is no Delegator: it has no getSigner()\n`,
  })
})

test('behavior: a refusal is told, and what may have happened is told with its nonce', async () => {
  const key = await file('strangers', `0x${'e5'.repeat(32)}`, 0o600)
  expect(await sub(['--nonce', '5', '--key', key])).toMatchObject({
    code: 1,
    stderr: `[403] Subscription signer mismatch - [owner=${consumer.toLowerCase()}, signer=${account.address.toLowerCase()}]\n`,
  })
  const failure = { error: 'Internal server error', code: 'internal', params: {} }
  await using failing = await startFakeNode(request =>
    request === 'GET /info' ? { json: infoOf(chain) } : { status: 500, json: failure },
  )
  expect(await sub(['--nonce', '5'], { url: failing.url })).toMatchObject({
    code: 1,
    stderr: '[500] Internal server error - [nonce=5]\n',
  })
})

test('behavior: wrong use is told in a line, and exits 64; nothing of a key is told', async () => {
  const open = await file('open', privateKey, 0o640)
  const none = await file('none', 'SECRET', 0o600)
  const zero = await file('zero', `0x${'0'.repeat(64)}`, 0o600)
  const broken = await file('broken.json', '{"subscription":')
  const list = await file('list.json', '[]')
  const wrong = await file('wrong.json', paramsText(',"redundancy":70000,"lazy":"no"'))
  const nonce = ['--nonce', '1']
  const line = async (args: string[], said: string | RegExp) =>
    expect([args, await sub(args)]).toEqual([
      args,
      { code: 64, stdout: '', stderr: expect.stringMatching(said) },
    ])
  await line([], /^--nonce auto asks the chain: name it with --rpc, or choose a nonce\n$/)
  await line(['--nonce', 'x'], /^--nonce must be a whole number\n$/)
  await line(
    ['--nonce', '4294967296'],
    /^Invalid subscription: terms\.nonce: must be a whole number from 0 to 4294967295\n$/,
  )
  await line([...nonce, '--expiry', '1'], /^--expiry is over: Unix seconds are meant\n$/)
  await line([...nonce, '--expiry', '4000000000', '--expires-in', '5'], /^--expiry and --expires-in say/)
  await line([...nonce, '--key', open], /can be read or changed by others: chmod 600 /)
  await line([...nonce, '--key', join(folder, 'gone')], /^Cannot read the key: ENOENT/)
  for (const path of [none, zero])
    await line([...nonce, '--key', path], /has no private key: 64 hexadecimal digits, with or without 0x\n$/)
  await line([...nonce, '--params', join(folder, 'gone')], /^Cannot read the parameters: ENOENT/)
  await line([...nonce, '--params', broken], /is not JSON: No JSON from character 16 on\n$/)
  await line([...nonce, '--params', list], /is not the JSON text of an object\n$/)
  await line(
    [...nonce, '--params', wrong],
    /^Invalid subscription: subscription\.redundancy: must be .*; subscription\.lazy: must be true or false\n$/,
  )
  await line([...nonce, '-i', params], /^--input and the parameters both have data\n$/)
  await line([...nonce, '--chain', '1'], /^The node does not serve chain 1\n$/)
  await line([...nonce, '--chain', '1', '--rpc', chain.rpcUrl], /^--rpc is of chain 31337, not 1\n$/)
  await line([...nonce, '--coordinator', '0x5'], /^--coordinator must be an address with a right checksum\n$/)
  await line([...nonce, '--rpc', 'ws://x'], /^--rpc must be an HTTP URL\n$/)
}, 60_000)

test('behavior: a chain that does not answer exits 69, and its key is not told', async () => {
  const { code, stderr } = await sub(['--rpc', 'http://127.0.0.1:1/SECRET'])
  expect({ code, stderr }).toEqual({
    code: 69,
    stderr: expect.stringMatching(/^The chain at 127\.0\.0\.1:1 cannot be asked: HTTP request failed\./),
  })
  expect(stderr).not.toContain('SECRET')
})

test('behavior: help names its options, and output goes to a file', async () => {
  expect((await infernet(['--help'])).stdout).toMatch(/sub +Sign a subscription/)
  const { stdout } = await infernet(['sub', '--help'])
  for (const option of ['--params', '--key', '--nonce', '--expires-in', '--rpc', '--sign-data', '--dry-run'])
    expect(stdout).toContain(option)
  const path = join(folder, 'out.json')
  expect(await sub(['--nonce', '20', '-o', path, '--rpc-url', chain.rpcUrl])).toEqual({
    code: 0,
    stdout: '',
    stderr: '',
  })
  expect(await kept(await readFile(path, 'utf8'))).toMatchObject({ nonce: 20 })
})

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { getAddress, zeroAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { containersHash } from '../../src/client/containers-hash.ts'
import { isDelegated, parseDelegated } from '../../src/protocol/delegated.ts'
import { toDelegation } from '../../src/protocol/delegation.ts'
import { parseJson, plain } from '../../src/protocol/json.ts'
import { recoverSigner } from '../../src/protocol/signature.ts'
import { digestOf } from '../../src/protocol/typed-data.ts'
import { deploy, startTestChain, type TestChain } from '../support/chain.ts'
import { policyOf } from '../support/runner.ts'
import { type ChainNode, startChainNode } from './chain-node.ts'
import { startFakeNode } from './fake-node.ts'
import { installReference } from './python/install.ts'

/** A delegated subscription as the reference's own command sends it. */

const script = fileURLToPath(new URL('python/reference.py', import.meta.url))
const main = fileURLToPath(new URL('../../src/client/main.ts', import.meta.url))
/** What infernet-client 1.4.0 sent with the parameters below. */
const sent = fileURLToPath(new URL('python/delegated.txt', import.meta.url))
const run = promisify(execFile)

const privateKey = `0x${'a7'.repeat(32)}` as const
const domain = { chainId: 31_337, coordinator: '0x2E983A1Ba5e8b38AAAeC4B440B9dDcFBf72E15d1' } as const
const params = {
  owner: '0x5FbDB2315678afecb367f032d93F642f64180aa3',
  active_at: 1_700_000_000,
  period: 3600,
  frequency: 24,
  redundancy: 3,
  containers: ['hello-world', 'echo'],
  lazy: true,
  verifier: '0x90F79bf6EB2c4f870365E785982E1f101E93b906',
  payment_amount: 0,
  payment_token: '0x0000000000000000000000000000000000000000',
  wallet: '0x60985ee8192B322c3CAbA97A9A9f7298bdc4335C',
}
/** Beyond what JavaScript counts. */
const paramsText = JSON.stringify(params).replace('"payment_amount":0', `"payment_amount":${2n ** 255n + 1n}`)
const data = { prompt: 'café ☃', n: 1.5 }

test('default: what it has sent is a request, and its signer is found', async () => {
  const body = plain(parseJson(await readFile(sent, 'utf8')))
  expect(isDelegated(body)).toBe(true)
  expect(body).toMatchObject({ data: { prompt: 'café ☃' } })
  const { request } = parseDelegated(body)
  expect(request).toMatchObject({
    subscription: { owner: params.owner.toLowerCase(), lazy: true, payment_amount: 2n ** 255n + 1n },
    signature: { nonce: 7, expiry: 4_000_000_000 },
    chain_id: null,
  })
  const { subscription, signature } = request!
  expect(await recoverSigner(digestOf(domain, toDelegation(subscription, signature)), signature)).toBe(
    privateKeyToAccount(privateKey).address.toLowerCase(),
  )
})

const reference = await installReference('chain')
if ('missing' in reference) {
  const untested = `The reference's delegated subscriptions are not tested: ${reference.missing}`
  if (process.env.CI === 'true') throw new Error(untested)
  console.warn(untested)
}
const python = 'python' in reference ? reference.python : ''

describe.skipIf(python === '')("the reference's Python client 1.4.0", () => {
  let chain: TestChain
  let folder: string

  beforeAll(async () => {
    chain = await startTestChain()
    folder = await mkdtemp(join(tmpdir(), 'infernet-python-'))
    const write = (name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o600 })
    await write('params.json', paramsText)
    await write('data.json', JSON.stringify(data))
    await write('key', privateKey)
  })
  afterAll(async () => {
    await chain?.close()
    if (folder) await rm(folder, { recursive: true })
  })

  const args = () => [
    ...['sub', '--params', join(folder, 'params.json'), '--key', join(folder, 'key')],
    ...['-i', join(folder, 'data.json'), '--nonce', '7', '--expiry', '4000000000'],
    ...['--address', domain.coordinator],
  ]

  test('default: it sends what is kept here, byte for byte', async () => {
    await using node = await startFakeNode(() => ({ json: {} }))
    const { stdout } = await run(python, [
      ...[script, 'cli', ...args(), '--rpc-url', chain.rpcUrl, '--url', node.url],
    ])
    expect(stdout).toBe('Success: Subscription created.\n')
    expect(node.asked).toEqual([{ request: 'POST /api/jobs', body: await readFile(sent, 'utf8') }])
  }, 60_000)

  test('default: our command signs the same for the same options', async () => {
    const { stdout } = await run(process.execPath, [main, ...args(), '--chain', '31337', '--dry-run'])
    const theirs = parseDelegated(plain(parseJson(await readFile(sent, 'utf8')))).request
    expect(parseDelegated(plain(parseJson(stdout))).request).toEqual({ ...theirs, chain_id: 31_337 })
  })

  describe('before a node', () => {
    let node: ChainNode
    let asked: string

    beforeAll(async () => {
      const args = [chain.registry, privateKeyToAccount(privateKey).address]
      const { address } = await deploy(chain, { name: 'EmptyDelegator', file: 'Bench', args })
      node = await startChainNode(chain, { containers: [policyOf('hello-world')] })
      const once = {
        active_at: 0,
        period: 0,
        frequency: 1,
        redundancy: 1,
        lazy: false,
        verifier: zeroAddress,
      }
      const fields = { ...params, ...once, owner: getAddress(address), containers: ['hello-world'] }
      asked = join(folder, 'asked.json')
      await writeFile(asked, JSON.stringify({ ...fields, wallet: zeroAddress }))
    }, 120_000)
    afterAll(async () => await node?.[Symbol.asyncDispose]())

    const sub = async (nonce: number, expiry: number) => {
      const signed = ['--address', chain.coordinator, '--nonce', String(nonce), '--expiry', String(expiry)]
      return await run(python, [
        ...[
          script,
          'cli',
          'sub',
          '--params',
          asked,
          '--key',
          join(folder, 'key'),
          '-i',
          join(folder, 'data.json'),
        ],
        ...[...signed, '--rpc-url', chain.rpcUrl, '--url', node.url],
      ])
    }

    test('default: what it asks for is answered on the chain', async () => {
      const { stdout } = await sub(21, 4_000_000_000)
      expect(stdout).toBe('Success: Subscription created.\n')
      const { owner } = JSON.parse(await readFile(asked, 'utf8'))
      const { subscription } = await node.answered(owner, 21)
      expect(subscription).toMatchObject({ owner, containerId: containersHash(['hello-world']) })
    }, 60_000)

    test('behavior: a refusal is its APIError', async () => {
      await expect(sub(22, 1_000)).rejects.toMatchObject({
        stderr: expect.stringMatching(/\[400\] Signature expired - \[expiry=1000, time=\d+\]/),
      })
    }, 60_000)
  })
})

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isDelegated, parseDelegated } from '../../src/protocol/delegated.ts'
import { toDelegation } from '../../src/protocol/delegation.ts'
import { parseJson, plain } from '../../src/protocol/json.ts'
import { recoverSigner } from '../../src/protocol/signature.ts'
import { digestOf } from '../../src/protocol/typed-data.ts'
import { startTestChain, type TestChain } from '../support/chain.ts'
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

  test('behavior: a refusal is its APIError', async () => {
    const refusal = { error: 'Signature expired', code: 'signature_expired', params: { expiry: 1 } }
    await using node = await startFakeNode(() => ({ status: 400, json: refusal }))
    const failed = run(python, [...[script, 'cli', ...args(), '--rpc-url', chain.rpcUrl, '--url', node.url]])
    await expect(failed).rejects.toMatchObject({
      stderr: expect.stringContaining('[400] Signature expired - [expiry=1]'),
    })
  }, 60_000)
})

import { sql } from 'drizzle-orm'
import { type Address, createWalletClient, custom, getAddress, type Hex, http, zeroAddress } from 'viem'
import { privateKeyToAccount, toAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { containersHash } from '../../src/client/containers-hash.ts'
import { toDelegatedText } from '../../src/client/delegated.ts'
import { type NewSubscription, type SigningTerms, signDelegatedSubscription } from '../../src/client/sign.ts'
import type { Signer } from '../../src/client/signer.ts'
import { createWallet } from '../../src/local/chain/start.ts'
import { parseDelegated } from '../../src/protocol/delegated.ts'
import { parseJson, plain } from '../../src/protocol/json.ts'
import type { DelegationTypedData } from '../../src/protocol/typed-data.ts'
import { deploy, nodeAddress, startTestChain, type TestChain } from '../support/chain.ts'
import { policyOf } from '../support/runner.ts'
import { type ChainNode, startChainNode } from './chain-node.ts'
import { infoOf, startFakeNode } from './fake-node.ts'

const privateKey = `0x${'c3'.repeat(32)}` as const
const account = privateKeyToAccount(privateKey)
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
let chain: TestChain
let consumer: Address
let node: ChainNode
let terms: Omit<SigningTerms, 'nonce'>
let nonces = 0

beforeAll(async () => {
  chain = await startTestChain()
  const args = [chain.registry, account.address]
  consumer = getAddress((await deploy(chain, { name: 'EmptyDelegator', file: 'Bench', args })).address)
  terms = { expiry: 4_000_000_000, chainId: chain.id, coordinator: chain.coordinator }
  node = await startChainNode(chain, {
    containers: [
      policyOf('echo'),
      policyOf('prover', { generates_proofs: true }),
      policyOf('careful', { signed_data: true }),
    ],
    config: { payment_address: nodeAddress, verifiers: 'any' },
  })
}, 120_000)
afterAll(async () => {
  await node?.[Symbol.asyncDispose]()
  await chain?.close()
})

function setup() {
  nonces += 1
  const subscription: NewSubscription = { owner: consumer, containers: ['echo'] }
  return { subscription, ...terms, nonce: nonces }
}

/** What the node keeps of a request. */
async function kept(nonce: number) {
  const [row] = await node.edge.db.orm.all<Record<string, unknown>>(sql`
    select delegations.*, active_at, period, frequency, redundancy, container_id, lazy, verifier, payment_amount, payment_token, wallet
    from delegations join subscriptions on subscriptions.chain = delegations.chain and subscriptions.id = delegations.subscription
    where nonce = ${nonce}`)
  return row
}

const usual = () => ({
  owner: consumer,
  activeAt: 0,
  period: 0,
  frequency: 1,
  redundancy: 1,
  containerId: containersHash(['echo']),
  lazy: false,
  verifier: zeroAddress,
  paymentAmount: 0n,
  paymentToken: zeroAddress,
  wallet: zeroAddress,
})

/** A wallet of a browser, that signs what it is shown as JSON. */
const provider = {
  async request({ method, params }: { method: string; params: unknown[] }) {
    expect([method, params[0]]).toEqual(['eth_signTypedData_v4', account.address])
    return await account.signTypedData(JSON.parse(params[1] as string))
  },
}

/** An account whose signatures are bent. */
const bent = (bend: (signature: Hex) => Hex): Signer => ({
  address: account.address,
  signTypedData: async (typedData: DelegationTypedData) => bend(await account.signTypedData(typedData)),
})
const withV = (signature: Hex, change: (v: number) => number): Hex =>
  `${signature.slice(0, -2) as Hex}${change(Number(`0x${signature.slice(-2)}`))
    .toString(16)
    .padStart(2, '0')}`
const withHighS = (signature: Hex): Hex => {
  const s = order - BigInt(`0x${signature.slice(66, 130)}`)
  return withV(
    `${signature.slice(0, 66) as Hex}${s.toString(16).padStart(64, '0')}${signature.slice(130)}`,
    v => 55 - v,
  )
}

describe('createDelegatedSubscription', () => {
  const signers: Record<string, () => Signer> = {
    'an account of viem': () => account,
    'a wallet client of viem with an account': () =>
      createWalletClient({ account, transport: http(chain.rpcUrl) }),
    'a wallet client of viem over a wallet in the browser': () =>
      createWalletClient({ account: account.address, transport: custom(provider) }),
    'a wallet in the browser': () => ({ address: account.address, provider }),
    'a wallet whose v is 0 or 1': () => bent(signature => withV(signature, v => v - 27)),
    'a wallet whose s is in the upper half': () => bent(withHighS),
  }
  test.each(Object.entries(signers))('default: what %s signs is answered on the chain', async (_, open) => {
    const client = createClient({ url: node.url })
    const asked = { ...setup(), signer: open(), dataJson: '{"n": 1.0}' }
    const created = await client.createDelegatedSubscription(asked)
    expect(created).toEqual({
      id: expect.any(String),
      status_url: `${node.url}/api/subscriptions/${created.id}`,
      job_id: expect.any(String),
      chain_id: chain.id,
      subscription_id: null,
      interval: 1,
    })
    expect(await kept(asked.nonce)).toMatchObject({ data: '{"n": 1.0}', expiry: 4_000_000_000 })
    const { subscription } = await node.answered(consumer, asked.nonce)
    expect(subscription).toEqual(usual())
  })

  test('default: what was signed before is sent as it is, every field of it', async () => {
    const subscription = {
      owner: consumer,
      containers: containersHash(['prover']),
      active_at: Math.floor(Date.now() / 1000) + 300 * 86_400,
      period: 3600,
      frequency: 4_294_967_295,
      redundancy: 65_535,
      lazy: true,
      payment_amount: 2n ** 256n - 1n,
      payment_token: `0x${'11'.repeat(20)}`,
      wallet: (
        await createWallet(chain.deployer, chain.walletFactory, chain.deployer.wallet.account.address)
      ).toLowerCase(),
      verifier: `0x${'22'.repeat(20)}`,
    }
    const signed = await signDelegatedSubscription(account, { ...setup(), subscription })
    const { containers, lazy, owner, ...rest } = subscription
    const { r, s, v, nonce, expiry } = signed.signature
    const text = toDelegatedText(signed, { data: { a: 1 } })
    expect(parseDelegated(plain(parseJson(text)))).toEqual({ request: { ...signed, data_signature: null } })
    expect(text).toContain(`"payment_amount":${2n ** 256n - 1n},`)
    expect(text).toContain(`"r":${BigInt(r)},"s":${BigInt(s)}}`)
    const client = createClient({ url: node.url })
    const created = await client.createDelegatedSubscription({ ...signed, data: { a: 1 } })
    expect(created).toMatchObject({ job_id: null, interval: 0 })
    expect(await kept(nonce)).toMatchObject({
      ...rest,
      owner: owner.toLowerCase(),
      payment_amount: String(2n ** 256n - 1n),
      container_id: containers,
      lazy: 1,
      ...{ r, s, v, expiry, data: '{"a":1}' },
    })
  })

  test('behavior: a node without the route is sent it where it takes jobs, and may tell nothing', async () => {
    const answers: Record<string, [number, string]> = {
      '/api/subscriptions': [404, '<h1>Not Found</h1>'],
      '/api/jobs': [200, '{}'],
    }
    const asked: string[] = []
    const fetch = async (input: string | URL | Request) => {
      const { pathname } = new URL(input instanceof Request ? input.url : input)
      asked.push(pathname)
      const [status, text] = answers[pathname] ?? [500, '']
      return new Response(text, { status })
    }
    const client = createClient({ url: node.url, fetch })
    const signed = await signDelegatedSubscription(account, setup())
    const created = client.createDelegatedSubscription({ ...signed, data: {} })
    await expect(created).rejects.toMatchObject({
      code: 'bad_answer',
      message: expect.stringContaining('is taken on'),
    })
    expect(asked).toEqual(['/api/subscriptions', '/api/jobs'])
    answers['/api/subscriptions'] = [403, '{"code":"not_allowed","error":"no","params":{}}']
    const refused = client.createDelegatedSubscription({ ...signed, data: {} })
    await expect(refused).rejects.toMatchObject({ status: 403, code: 'not_allowed' })
    expect(asked).toHaveLength(3)
  })

  test('behavior: sending it again does nothing more', async () => {
    const client = createClient({ url: node.url })
    const asked = { ...setup(), signer: account, data: {} }
    const created = await client.createDelegatedSubscription(asked)
    const { id } = await node.answered(consumer, asked.nonce)
    const again = await client.createDelegatedSubscription(asked)
    expect(again).toEqual({ ...created, subscription_id: again.subscription_id })
    expect([null, id]).toContain(again.subscription_id)
    await node.answered(consumer, asked.nonce)
  })

  const careful = { containers: ['careful'] }

  test.each(Object.entries(signers))(
    'default: what %s signs with its data is taken where that is asked for',
    async (_, open) => {
      const client = createClient({ url: node.url })
      const { subscription, ...rest } = setup()
      const asked = { ...rest, subscription: { ...subscription, ...careful }, signer: open() }
      const dataJson = ' {"n": 1.0, "text": "☃"}\n'
      await expect(client.createDelegatedSubscription({ ...asked, dataJson })).rejects.toMatchObject({
        status: 403,
        code: 'data_not_signed',
      })
      await client.createDelegatedSubscription({ ...asked, dataJson, signData: true })
      expect(await kept(asked.nonce)).toMatchObject({ data_signed: 1, data: dataJson.trim() })
      await node.answered(consumer, asked.nonce)
    },
  )

  test('behavior: what was signed with its data is sent with no other', async () => {
    const client = createClient({ url: node.url })
    const signed = await signDelegatedSubscription(account, { ...setup(), signData: { data: { a: 1 } } })
    expect(signed.data_signature).toMatch(/^0x[0-9a-f]{130}$/)
    await expect(client.createDelegatedSubscription({ ...signed, data: { a: 2 } })).rejects.toMatchObject({
      status: 400,
      code: 'invalid_signature',
      message: 'The signature for the data is not its signer’s',
    })
    await client.createDelegatedSubscription({ ...signed, dataJson: '{"a":1}' })
    expect(await kept(signed.signature.nonce)).toMatchObject({ data_signed: 1, data: '{"a":1}' })
  })

  test('behavior: without signData nothing is signed for the data', async () => {
    const signed = await signDelegatedSubscription(account, setup())
    expect(Object.keys(signed)).toEqual(['subscription', 'signature', 'chain_id'])
    expect(toDelegatedText(signed, { data: {} })).not.toContain('data_signature')
  })

  test('behavior: data that is no object is not signed for', async () => {
    await expect(
      signDelegatedSubscription(account, { ...setup(), signData: { dataJson: '[]' } }),
    ).rejects.toMatchObject({ code: 'invalid_request' })
  })

  test('default: chain and coordinator are asked from the node', async () => {
    const client = createClient({ url: node.url })
    const { chainId, coordinator, ...rest } = setup()
    await client.createDelegatedSubscription({ ...rest, signer: account, data: {} })
    const { subscription } = await node.answered(consumer, rest.nonce)
    expect(subscription).toEqual(usual())
    const { nonce } = setup()
    await client.createDelegatedSubscription({ ...rest, nonce, chainId, signer: account, data: {} })
    await node.answered(consumer, nonce)
  })

  test('behavior: a node that serves no chain, or several, does not say which', async () => {
    let info = infoOf({ id: 1, coordinator: zeroAddress }, chain)
    await using fake = await startFakeNode(() => ({ json: info }))
    const client = createClient({ url: fake.url })
    const { chainId, coordinator, ...rest } = setup()
    const refused = async (more: object, message: string) =>
      await expect(
        client.createDelegatedSubscription({ ...rest, signer: account, data: {}, ...more }),
      ).rejects.toMatchObject({
        ...{ name: 'InfernetError', code: 'invalid_request', status: null, message },
      })
    await refused({}, 'The node serves 2 chains: say which')
    await refused({ coordinator }, 'The node serves 2 chains: say which')
    await refused({ chainId: 5 }, 'The node does not serve chain 5')
    info = infoOf({ id: chain.id, coordinator: null })
    await refused({}, `The node knows no coordinator of chain ${chain.id}: It does not answer`)
    info = infoOf()
    await refused({}, 'The node serves no chain')
    expect(fake.asked.map(({ request }) => request)).toEqual(Array.from({ length: 5 }, () => 'GET /info'))
  })

  test("behavior: refusals are the node's", async () => {
    const client = createClient({ url: node.url })
    await expect(
      client.createDelegatedSubscription({ ...setup(), expiry: 1_000, signer: account, data: {} }),
    ).rejects.toMatchObject({
      status: 400,
      code: 'signature_expired',
      message: 'Signature expired',
      params: { expiry: 1_000 },
    })
  })

  test('behavior: what is wrong is not sent', async () => {
    await using fake = await startFakeNode(() => ({ json: {} }))
    const client = createClient({ url: fake.url })
    const signed = await signDelegatedSubscription(account, setup())
    const send = (request: typeof signed, dataJson = '{}') =>
      client.createDelegatedSubscription({ ...request, dataJson })
    const { signature } = signed
    await expect(send({ ...signed, signature: { ...signature, v: 256 } })).rejects.toMatchObject({
      code: 'invalid_request',
      message: 'Invalid subscription: signature.v: must be a whole number from 0 to 255',
    })
    await expect(send(signed, '{},"chain_id":1')).rejects.toMatchObject({ code: 'invalid_request' })
    expect(fake.asked).toEqual([])
  })
})

describe('signDelegatedSubscription', () => {
  test('behavior: every field that is wrong is named, and nothing is signed', async () => {
    const refused = async (subscription: object, more: object = {}) => {
      const asked = setup()
      const request = { ...asked, ...more, subscription: { ...asked.subscription, ...subscription } }
      const error: Error = await signDelegatedSubscription(
        bent(() => '0x'),
        request,
      ).then(
        () => expect.unreachable(),
        reason => reason,
      )
      expect(error).toMatchObject({ name: 'InfernetError', code: 'invalid_request', status: null })
      return error.message
    }
    expect(await refused({ redundancy: 65_536, payment_amount: -1n }, { nonce: 1.5, chainId: 0 })).toBe(
      'Invalid subscription: ' +
        'subscription.redundancy: must be a whole number from 0 to 65535; ' +
        'subscription.payment_amount: must be a whole number from 0 to 2^256 - 1 with all its digits, or the same as text: decimal, or 0x and hexadecimal digits; ' +
        'terms.nonce: must be a whole number from 0 to 4294967295; ' +
        'terms.chainId: must be a whole number from 1 to 9007199254740991',
    )
    const typo = consumer.replace(/[a-f](?=[^a-f]*$)/i, letter =>
      letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
    )
    expect(await refused({ owner: typo })).toBe(
      'Invalid subscription: subscription.owner: has a wrong checksum',
    )
    expect(await refused({ period: 60 })).toBe('Invalid subscription: subscription.active_at: is missing')
    expect(await refused({ containers: ['a,b'] })).toContain('Invalid field: containers: must be 1-128 of')
    expect(await refused({ containers: [] })).toBe('Invalid field: containers: must name at least one')
    expect(await refused({ containers: 'hello-world' })).toContain(
      'subscription.containers: must be 32 bytes',
    )
  })

  test('behavior: what a contract accepts stays as its wallet gave it', async () => {
    const bytes = `0x${'ff'.repeat(64)}1f` as const
    const { signature } = await signDelegatedSubscription(
      { address: consumer, signTypedData: async () => bytes },
      setup(),
    )
    expect(signature).toMatchObject({ v: 31, r: `0x${'ff'.repeat(32)}`, s: `0x${'ff'.repeat(32)}` })
  })

  test('behavior: a wallet that refuses, or gives something else than 65 bytes, has not signed', async () => {
    const rejected = new Error('User rejected the request')
    const wallets: Signer[] = [
      { address: account.address, provider: { request: () => Promise.reject(rejected) } },
      { address: account.address, provider: { request: async () => null } },
      bent(signature => signature.slice(0, -2) as Hex),
    ]
    for (const wallet of wallets)
      await expect(signDelegatedSubscription(wallet, setup())).rejects.toMatchObject({ code: 'not_signed' })
    await expect(signDelegatedSubscription(wallets[0]!, setup())).rejects.toHaveProperty('cause', rejected)
  })

  test('behavior: an account of any kind signs, for that chain alone', async () => {
    const hardware = toAccount({
      address: account.address,
      signMessage: account.signMessage,
      signTransaction: account.signTransaction,
      signTypedData: account.signTypedData,
    })
    const asked = setup()
    const one = await signDelegatedSubscription(hardware, asked)
    expect(one).toEqual(await signDelegatedSubscription(account, asked))
    const other = await signDelegatedSubscription(account, { ...asked, chainId: 1 })
    expect(other.signature.r).not.toBe(one.signature.r)
  })
})

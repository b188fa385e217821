import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { type Hex, toFunctionSelector } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { containersHash } from '../../src/client/containers-hash.ts'
import { toDelegatedText } from '../../src/client/delegated.ts'
import { createWallet } from '../../src/local/chain/start.ts'
import { dataTypedDataOf } from '../../src/protocol/data-signature.ts'
import { chainVars, type Delegator, signer, stranger } from '../support/delegators.ts'
import { refusalOf, startTestEdge, type TestEdge } from '../support/edge.ts'
import { type RpcProxy, startRpcProxy } from '../support/rpc-proxy.ts'
import { startTestRunner } from '../support/runner.ts'
import { containers, created, type DelegatedDoor, startDelegatedDoor, token } from './delegated.ts'

let door: DelegatedDoor
beforeAll(async () => {
  door = await startDelegatedDoor()
}, 120_000)
afterAll(async () => await door?.close())
beforeEach(async () => await door.clear())

describe('refusals', () => {
  const owner = () => door.delegator.consumer.toLowerCase()
  const refused: [string, () => Parameters<Delegator['sign']>[0], () => object][] = [
    [
      'Signature expired',
      () => ({ expiry: 1_000 }),
      () => ({
        status: 400,
        code: 'signature_expired',
        params: { expiry: 1_000, time: expect.any(Number) },
      }),
    ],
    [
      'Container-set not supported',
      () => ({ containers: containersHash(['echo', 'nobody']) }),
      () => ({
        status: 422,
        code: 'unsupported_containers',
        params: { containers_hash: containersHash(['echo', 'nobody']) },
      }),
    ],
    [
      'First container must be external',
      () => ({ containers: containersHash(['inner']) }),
      () => ({ status: 403, code: 'not_external', params: { first_container: 'inner' } }),
    ],
    [
      'Container does not generate proof',
      () => ({ verifier: token }),
      () => ({ status: 422, code: 'unsupported_proof', params: { container: 'echo' } }),
    ],
    [
      'Container does not generate proof',
      // Before the owner is looked at, as the reference has it.
      () => ({ containers: containersHash(['office']), verifier: token }),
      () => ({ status: 422, code: 'unsupported_proof', params: { container: 'office' } }),
    ],
    [
      'Container not allowed for address',
      () => ({ containers: containersHash(['office']) }),
      () => ({ status: 403, code: 'not_allowed', params: { container: 'office', address: owner() } }),
    ],
    [
      'Invalid payment',
      () => ({ containers: containersHash(['dear']), payment_amount: 9 }),
      () => ({ status: 422, code: 'invalid_payment', params: { reason: 'below minimum payment' } }),
    ],
    [
      'Invalid payment',
      () => ({ containers: containersHash(['dear']), payment_amount: 10, payment_token: token }),
      () => ({ status: 422, code: 'invalid_payment', params: { reason: 'token not accepted' } }),
    ],
    [
      'Invalid payment',
      () => ({ containers: containersHash(['dear']), payment_amount: 10, wallet: token }),
      () => ({ status: 422, code: 'invalid_payment', params: { reason: 'invalid wallet' } }),
    ],
    [
      // Nobody has said whose word is trusted.
      'Verifier not accepted: the node’s configuration of this chain does not name it in "verifiers"',
      () => ({ containers: containersHash(['proven']), verifier: token }),
      () => ({ status: 422, code: 'verifier_not_accepted', params: { verifier: token } }),
    ],
    [
      'Subscription completed',
      () => ({ active_at: 1, period: 1 }),
      () => ({ status: 422, code: 'completed', params: {} }),
    ],
    [
      'Subscription signer mismatch',
      () => ({ account: stranger }),
      () => ({
        status: 403,
        code: 'signer_mismatch',
        params: { owner: owner(), signer: expect.stringMatching(/^0x[0-9a-f]{40}$/) },
      }),
    ],
    [
      'The owner names no signer',
      () => ({ owner: stranger.address }),
      () => ({ status: 403, code: 'signer_mismatch', params: { owner: stranger.address.toLowerCase() } }),
    ],
    [
      'The data has to be signed as well',
      () => ({ containers: containersHash(['careful']) }),
      () => ({ status: 403, code: 'data_not_signed', params: { owner: owner() } }),
    ],
  ]
  test.each(refused)('behavior: %s', async (error, asking, expected) => {
    const text = await door.body(asking())
    for (const path of ['/api/subscriptions', '/api/jobs'])
      expect(await refusalOf(await door.send(text, path))).toEqual({ error, ...expected() })
    expect([
      await door.count('delegations'),
      await door.count('subscriptions'),
      await door.count('jobs'),
    ]).toEqual([0, 0, 0])
  })

  test('behavior: Chain not enabled', async () => {
    const text = (await door.body()).replace(`"chain_id":${door.chain.id}`, '"chain_id":5')
    expect(await refusalOf(await door.send(text))).toEqual({
      status: 501,
      code: 'chain_not_enabled',
      error: 'Chain not enabled',
      params: { chain: 5 },
    })
  })

  test('behavior: a signature of no form that counts is nobody’s', async () => {
    const signed = await door.delegator.sign()
    const bent = { ...signed, signature: { ...signed.signature, v: 29 } }
    expect(await refusalOf(await door.send(toDelegatedText(bent, { data: {} })))).toEqual({
      status: 400,
      code: 'invalid_signature',
      error: 'The signature is not valid',
      params: { owner: owner() },
    })
  })

  const signData = async (nonce: number, data: string, account = signer) =>
    await account.signTypedData(
      dataTypedDataOf(
        { chainId: door.chain.id, coordinator: door.chain.coordinator },
        { owner: door.delegator.consumer, nonce, data },
      ),
    )

  test('behavior: a signature for the data counts for just that data, of the signer', async () => {
    const signed = await door.delegator.sign({ containers: containersHash(['careful']) })
    const { nonce } = signed.signature
    const wrong = {
      status: 400,
      code: 'invalid_signature',
      error: 'The signature for the data is not its signer’s',
      params: { owner: owner() },
    }
    const sent = async (data_signature: Hex, data: string) =>
      await door.send(toDelegatedText({ ...signed, data_signature }, { dataJson: data }))
    expect(await refusalOf(await sent(await signData(nonce, '{"a": 1}'), '{"a":1}'))).toEqual(wrong)
    expect(await refusalOf(await sent(await signData(nonce + 1, '{"a":1}'), '{"a":1}'))).toEqual(wrong)
    expect(await refusalOf(await sent(await signData(nonce, '{"a":1}', stranger), '{"a":1}'))).toEqual(wrong)
    expect(await door.count('delegations')).toBe(0)
    const { id } = await created(await sent(await signData(nonce, '{"a":1}'), '{"a":1}'))
    expect((await door.get(`/api/subscriptions/${id}`)).body).toMatchObject({ data_signed: true })
  })

  test('behavior: a consumer may ask for it, too', async () => {
    const question = toFunctionSelector('function requiresSignedData()')
    door.proxy.setOverride(call =>
      JSON.stringify(call.params).includes(question) ? { result: `0x${'1'.padStart(64, '0')}` } : null,
    )
    const signed = await door.delegator.sign()
    const unsigned = await door.send(toDelegatedText(signed, { dataJson: '{}' }))
    expect(await refusalOf(unsigned)).toMatchObject({ status: 403, code: 'data_not_signed' })
    const data_signature = await signData(signed.signature.nonce, '{}')
    await door.take(toDelegatedText({ ...signed, data_signature }, { dataJson: '{}' }))
  })

  test('behavior: data that is signed takes the place of data that is not, until it is begun', async () => {
    const activeAt = Math.floor(Date.now() / 1000) + 86_400
    const signed = await door.delegator.sign({ active_at: activeAt, period: 60 })
    const { nonce } = signed.signature
    await door.take(toDelegatedText(signed, { dataJson: '{"by":"whoever"}' }))
    const data_signature = await signData(nonce, '{"by":"signer"}')
    const { id } = await door.take(
      toDelegatedText({ ...signed, data_signature }, { dataJson: '{"by":"signer"}' }),
    )
    expect(await door.edge.db.orm.all('select id, data from delegations')).toEqual([
      { id, data: '{"by":"signer"}' },
    ])
    const again = await door.send(toDelegatedText(signed, { dataJson: '{"by":"whoever"}' }))
    expect(await refusalOf(again)).toMatchObject({ status: 409, code: 'data_conflict' })
    // What a stranger has sent is computed, and stays.
    const other = await door.delegator.sign()
    await door.take(toDelegatedText(other, { dataJson: '{"by":"whoever"}' }))
    const late = await signData(other.signature.nonce, '{}')
    const response = await door.send(toDelegatedText({ ...other, data_signature: late }, { dataJson: '{}' }))
    expect(await refusalOf(response)).toMatchObject({ status: 409, code: 'data_conflict' })
  })

  test('behavior: a stream is for jobs, in the words of the reference', async () => {
    expect(await refusalOf(await door.send(await door.body(), '/api/jobs/stream'))).toEqual({
      status: 405,
      code: 'streaming_offchain_only',
      error: 'Streaming only supported for OffchainJob requests.',
      params: {},
    })
  })

  test('behavior: nobody chooses its id', async () => {
    const id = '0199d2f0-0000-7000-8000-000000000005'
    const response = await door.edge.request(`/api/jobs/${id}`, { method: 'PUT', body: await door.body() })
    expect(await refusalOf(response)).toEqual({
      status: 400,
      code: 'invalid_request',
      error: 'A delegated subscription cannot be given an id',
      params: {},
    })
    expect(await door.count('delegations')).toBe(0)
  })

  test('behavior: a job is no subscription', async () => {
    const response = await door.send('{"containers":["echo"],"data":{}}')
    expect(await refusalOf(response)).toMatchObject({
      status: 400,
      code: 'invalid_request',
      error: expect.stringMatching(/^Invalid json: subscription: is missing; signature: is missing/),
    })
    expect(await door.count('jobs')).toBe(0)
  })

  test.each(['', ' ', '[]', '7', 'null', '"x"', '{', '{"subscription":'])(
    'behavior: a body that is no subscription: %j',
    async text => {
      expect((await door.send(text)).status).toBe(400)
      expect(await door.count('delegations')).toBe(0)
    },
  )
})

describe('fields', () => {
  const fields = [
    ...['owner', 'active_at', 'period', 'frequency', 'redundancy', 'containers', 'lazy', 'verifier'],
    ...['payment_amount', 'payment_token', 'wallet', 'nonce', 'expiry', 'v', 'r', 's'],
  ]
  const wrong = [
    'null',
    '""',
    '-1',
    '1.5',
    '1e80',
    '[]',
    '{}',
    '"0x"',
    `${2n ** 256n}`,
    '"☃"',
    `"${'f'.repeat(5_000)}"`,
  ]

  test('behavior: each that is wrong, or is not there, is named', async () => {
    const text = await door.body()
    for (const field of fields) {
      const member = new RegExp(`"${field}":("[^"]*"|[^,}]+),?`)
      for (const value of [...wrong, undefined]) {
        const sent = text
          .replace(member, value === undefined ? '' : `"${field}":${value},`)
          .replaceAll(',}', '}')
        expect(sent).not.toBe(text)
        const told = await refusalOf(await door.send(sent, '/api/jobs'))
        expect([field, value, told]).toEqual([
          field,
          value,
          {
            status: 400,
            code: 'invalid_request',
            error: expect.stringMatching(new RegExp(`^Invalid json: (subscription|signature)\\.${field}: `)),
            params: {},
          },
        ])
      }
    }
    expect(await door.count('delegations')).toBe(0)
  })

  test('behavior: whatever is there, it is answered, and not with a 500', async () => {
    const text = await door.body()
    const junk = fc.oneof(fc.jsonValue(), fc.bigInt(-1n, 2n ** 257n), fc.constantFrom(...wrong))
    const part = fc.constantFrom(...fields, 'subscription', 'signature', 'chain_id', 'data_signature')
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(part, junk), { minLength: 1, maxLength: 3 }), async changes => {
        let sent = text
        for (const [field, value] of changes) {
          const said = typeof value === 'bigint' ? String(value) : JSON.stringify(value)
          const member = new RegExp(`"${field}":("[^"]*"|[^,}{]+|\\{[^}]*\\})`)
          sent = member.test(sent)
            ? sent.replace(member, () => `"${field}":${said}`)
            : sent.replace('{', () => `{"${field}":${said},`)
        }
        const response = await door.edge.create(sent)
        const told = await response.text()
        expect([response.status, told]).not.toEqual([500, told])
      }),
      { numRuns: 60 },
    )
  }, 60_000)

  test('behavior: no digit is lost, however it is written', async () => {
    const amount = 2n ** 255n + 1n
    const { deployer, walletFactory } = door.chain
    const wallet = await createWallet(deployer, walletFactory, deployer.wallet.account.address)
    // What is in the wallet matters from then on.
    const active_at = Math.floor(Date.now() / 1000) + 86_400
    const signed = await door.delegator.sign({ payment_amount: amount, wallet, active_at })
    const { r, s } = signed.signature
    const text = toDelegatedText(signed, { dataJson: '{}' })
    expect(text).toContain(`"r":${BigInt(r)},"s":${BigInt(s)}`)
    const answer = await door.take(text)
    const [row] = await door.edge.db.orm.all(sql`
      select r, s, payment_amount from delegations
        join subscriptions on subscriptions.chain = delegations.chain and subscriptions.id = delegations.subscription`)
    expect(row).toEqual({ r, s, payment_amount: String(amount) })
    const asText = text
      .replace(`"r":${BigInt(r)}`, `"r":"${r}"`)
      .replace(`"s":${BigInt(s)}`, `"s":"${BigInt(s)}"`)
      .replace(`"payment_amount":${amount}`, `"payment_amount":"0x${amount.toString(16)}"`)
    expect(asText).not.toBe(text)
    expect(await door.take(asText)).toEqual(answer)
  })
})

describe('several chains', () => {
  let both: TestEdge
  let wrong: RpcProxy
  beforeAll(async () => {
    // An endpoint of another chain than it is there for.
    wrong = await startRpcProxy(door.chain.rpcUrl)
    const one = chainVars(door.chain, { url: door.chain.rpcUrl })
    const other = chainVars({ ...door.chain, id: 7 }, { url: wrong.url })
    const chains = [one.CHAINS, other.CHAINS].flatMap(text => JSON.parse(text ?? '[]') as object[])
    both = await startTestEdge({ vars: { ...one, ...other, CHAINS: JSON.stringify(chains) } })
    await startTestRunner(both, containers)
  })
  afterAll(async () => {
    await both?.[Symbol.asyncDispose]()
    await wrong?.close()
  })

  const ask = async (text: string, chainId?: string) =>
    await both.create(
      chainId === undefined
        ? text
        : text.replace(`,"chain_id":${door.chain.id}`, chainId && `,"chain_id":${chainId}`),
    )

  test('default: the one that is named', async () => {
    expect(await created(await ask(await door.body()))).toMatchObject({ chain_id: door.chain.id })
  })

  test('behavior: it must be said which', async () => {
    for (const chainId of ['', 'null'])
      expect(await refusalOf(await ask(await door.body(), chainId))).toEqual({
        status: 400,
        code: 'invalid_request',
        error: 'Invalid json: chain_id: is missing, and this node serves several chains',
        params: { chains: [door.chain.id, 7] },
      })
  })

  test('behavior: another is not served', async () => {
    expect(await refusalOf(await ask(await door.body(), '5'))).toMatchObject({
      status: 501,
      code: 'chain_not_enabled',
      params: { chain: 5 },
    })
  })

  test('behavior: a chain that is not the one that is configured does not answer', async () => {
    expect(await refusalOf(await ask(await door.body(), '7'))).toMatchObject({
      status: 503,
      code: 'chain_unavailable',
      params: { chain: 7 },
    })
  })

  test('behavior: nor is it asked again for each item of a batch', async () => {
    const item = (await door.body()).replace(`"chain_id":${door.chain.id}`, '"chain_id":7')
    wrong.takeRequests()
    await both.create(item)
    const once = wrong.takeRequests().length
    const items = Array.from({ length: 40 }, () => item)
    const response = await both.create(`[${items},{"containers":["echo"],"data":{}}]`, {
      path: '/api/jobs/batch',
    })
    const told = (await response.json()) as { code?: string; id?: string }[]
    expect(told.map(({ code = 'taken' }) => code)).toEqual([...items.map(() => 'chain_unavailable'), 'taken'])
    expect(once).toBeGreaterThan(0)
    // The node looks at its chains by itself, too.
    expect(wrong.takeRequests().length).toBeLessThan(5 * once)
  })

  test('behavior: a node that nobody can pay takes nothing that pays', async () => {
    expect(await refusalOf(await ask(await door.body({ payment_amount: 1 })))).toEqual({
      status: 422,
      code: 'invalid_payment',
      error: 'Invalid payment',
      params: { reason: 'no payment address' },
    })
  })
})

describe('a node without chains', () => {
  test('behavior: takes none, whichever is named', async () => {
    await using none = await startTestEdge()
    const text = await door.body()
    for (const [sent, named] of [
      [text, door.chain.id],
      [text.replace(`,"chain_id":${door.chain.id}`, ''), null],
    ] as const)
      expect(await refusalOf(await none.create(sent))).toEqual({
        status: 501,
        code: 'chain_not_enabled',
        error: 'Chain not enabled',
        params: { chain: named },
      })
  })
})

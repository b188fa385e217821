import { sql } from 'drizzle-orm'
import { getAbiItem, type Hex, toFunctionSelector, zeroAddress } from 'viem'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createNoteHead } from '../../../../src/edge/chain/delegated/door.ts'
import { createRpcPool } from '../../../../src/edge/chain/pool.ts'
import { type RpcAnswer, type RpcCall, RpcUnavailable } from '../../../../src/edge/chain/rpc.ts'
import { register } from '../../../../src/edge/runners/register.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { dataDigestOf, dataTypedDataOf } from '../../../../src/protocol/data-signature.ts'
import type { DelegatedRequest } from '../../../../src/protocol/delegated.ts'
import { toDelegation } from '../../../../src/protocol/delegation.ts'
import { toCanonical } from '../../../../src/protocol/signature.ts'
import { digestOf } from '../../../../src/protocol/typed-data.ts'
import { type Contract, deploy, fund, nodeAddress } from '../../../support/chain.ts'
import { startRpcProxy } from '../../../support/rpc-proxy.ts'
import { policyOf } from '../../../support/runner.ts'
import { type Delegating, signer, startDelegating, stranger } from './delegating.ts'

/** What the door says of requests that nothing can come of, and that nothing is stored of them. */

const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

let world: Delegating
async function expectRefused(request: DelegatedRequest, code: string): Promise<void> {
  expect(await world.refusal(request)).toBe(code)
  expect(await world.ids()).toEqual([])
}

function changed(
  request: DelegatedRequest,
  signature: Partial<DelegatedRequest['signature']>,
): DelegatedRequest {
  return { ...request, signature: { ...request.signature, ...signature } }
}

function domain() {
  return { chainId: world.chain.id, coordinator: world.chain.coordinator }
}

/** Signed as `DigestSigner` takes it: what begins with the digest. */
function accepted(request: DelegatedRequest): DelegatedRequest {
  const { subscription, signature } = request
  return changed(request, { r: digestOf(domain(), toDelegation(subscription, signature)), v: 99 })
}

/** While a `DigestSigner` signs for the consumer. */
async function byContract(story: () => Promise<void>): Promise<void> {
  const { address } = await deploy(world.chain, { name: 'DigestSigner', file: 'DelegationProbe' })
  await world.call('updateSigner', address)
  try {
    await story()
  } finally {
    await world.call('updateSigner', signer.address)
  }
}

function selectorOf(name: 'delegateCreatedIds' | 'createSubscriptionDelegatee'): Hex {
  return toFunctionSelector(getAbiItem({ abi: eip712CoordinatorAbi, name }))
}

function isOf(call: RpcCall, part: string): boolean {
  return JSON.stringify(call).includes(part)
}

async function latestTime(): Promise<number> {
  const { timestamp } = await world.chain.deployer.chain.getBlock()
  return Number(timestamp)
}

describe.for([false, true])('first deployment: %s', firstDeployment => {
  beforeAll(async () => {
    world = await startDelegating({ firstDeployment })
  })

  afterAll(async () => await world?.close())

  beforeEach(async () => {
    for (const table of ['delegations', 'deliveries', 'subscriptions'])
      await world.queue.db.orm.run(sql`delete from ${sql.identifier(table)}`)
  })

  afterEach(() => {
    world.proxy.setFault(undefined)
    world.proxy.setOverride(undefined)
  })

  describe('a signature', () => {
    test('behavior: of somebody else', async () => {
      await expectRefused(await world.sign({ account: stranger }), 'signer_mismatch')
    })

    test('behavior: for another chain, or another coordinator', async () => {
      await expectRefused(await world.sign({ chainId: 1 }), 'signer_mismatch')
      await expectRefused(await world.sign({ coordinator: world.chain.registry }), 'signer_mismatch')
    })

    test('behavior: with another member than was signed', async () => {
      const request = await world.sign()
      const { subscription } = request
      await expectRefused({ ...request, subscription: { ...subscription, redundancy: 7 } }, 'signer_mismatch')
      await expectRefused(changed(request, { nonce: 77 }), 'signer_mismatch')
    })

    test('behavior: in another form than the one that counts', async () => {
      const request = await world.sign()
      const { v, s } = request.signature
      const other = `0x${(order - BigInt(s)).toString(16).padStart(64, '0')}` as const
      const high = changed(request, { s: other, v: 55 - v })
      expect(toCanonical(high.signature)).toMatchObject({ v, s })
      await expectRefused(high, 'invalid_signature')
      await expectRefused(changed(request, { v: v - 27 }), 'invalid_signature')
      await expectRefused(changed(request, { v: 29 }), 'invalid_signature')
      const zero = `0x${'00'.repeat(32)}` as const
      await expectRefused(changed(request, { r: zero, s: zero }), 'invalid_signature')
      await expectRefused(changed(request, { r: `0x${'ff'.repeat(32)}` }), 'invalid_signature')
      expect(await world.refusal(request)).toBeNull()
    })

    test('behavior: that expires before it begins could never be created', async () => {
      const time = await latestTime()
      await expectRefused(await world.sign({ expiry: time + 500, active_at: time + 501 }), 'invalid_request')
      expect(await world.refusal({ expiry: time + 500, active_at: time + 500 })).toBeNull()
    })

    test('behavior: that expires, at the second, or has', async () => {
      const time = await latestTime()
      await expectRefused(await world.sign({ expiry: time }), 'signature_expired')
      await expectRefused(await world.sign({ expiry: 0 }), 'signature_expired')
    })

    test('behavior: of a contract counts as the contract says', async () => {
      await byContract(async () => {
        const request = await world.sign()
        await expectRefused(request, 'signer_mismatch')
        expect(await world.refusal(accepted(request))).toBeNull()
      })
    })
  })

  describe('an owner', () => {
    const owned = async (contract: Contract) => await world.sign({ owner: contract.address })

    test('behavior: without code, or that names no signer, or reverts', async () => {
      await expectRefused(await world.sign({ owner: stranger.address }), 'signer_mismatch')
      const args = [world.chain.registry]
      const mute = await deploy(world.chain, { name: 'RecordingConsumer', file: 'Consumers', args })
      await expectRefused(await owned(mute), 'signer_mismatch')
      await expectRefused(await world.sign({ owner: world.chain.coordinator }), 'signer_mismatch')
    })

    /** Code that answers every call with so many bytes, of which the first are this word. */
    const saying = (word: string, bytes: number): Hex =>
      `0x7f${word}60005260${bytes.toString(16).padStart(2, '0')}6000f3`
    const word = signer.address.slice(2).toLowerCase().padStart(64, '0')
    test.for<[string, Hex, string | null]>([
      ['reverts', '0x60006000fd', 'signer_mismatch'],
      ['does what no contract may', '0xfe', 'signer_mismatch'],
      ['burns all there is', '0x5b600056', 'signer_mismatch'],
      ['returns nothing', '0x00', 'signer_mismatch'],
      ['returns 31 bytes', saying(word, 31), 'signer_mismatch'],
      [
        'returns an address with something before it',
        saying(word.replace(/^0{24}/, 'f'.repeat(24)), 32),
        'signer_mismatch',
      ],
      ['returns the zero address', saying('0'.repeat(64), 32), 'signer_mismatch'],
      // The coordinator takes it as well.
      ['returns 64 bytes', saying(word, 64), null],
    ])('behavior: whose getSigner %s', async ([, code, refusal]) => {
      const address = `0x${'5a'.repeat(20)}` as const
      await world.chain.anvil.setCode({ address, bytecode: code })
      await world.chain.anvil.mine({ blocks: 1 })
      const request = await world.sign({ owner: address })
      expect(await world.refusal(request)).toBe(refusal)
      expect(await world.ids()).toHaveLength(refusal === null ? 1 : 0)
    })

    test('behavior: that tells more than its signer is asked for signed data all the same', async () => {
      const address = `0x${'5b'.repeat(20)}` as const
      await world.chain.anvil.setCode({ address, bytecode: saying(word, 64) })
      await world.chain.anvil.mine({ blocks: 1 })
      const request = await world.sign({ owner: address })
      const forData = { owner: address, nonce: request.signature.nonce, data: '{"a":1}' }
      const data_signature = await signer.signTypedData(dataTypedDataOf(domain(), forData))
      expect(await world.refusal({ ...request, data_signature })).toBeNull()
    })

    test('behavior: whose signer has changed', async () => {
      const request = await world.sign()
      await world.call('updateSigner', stranger.address)
      await expectRefused(request, 'signer_mismatch')
      await world.call('updateSigner', signer.address)
      expect(await world.refusal(request)).toBeNull()
    })
  })

  describe('a nonce', () => {
    test('behavior: that was invalidated', async () => {
      await world.call('invalidate', 900)
      await expectRefused(await world.sign({ nonce: 900 }), 'nonce_used')
    })

    test('behavior: that another subscription has, on the chain or here', async () => {
      await world.create(await world.sign({ nonce: 901 }))
      await expectRefused(await world.sign({ nonce: 901, redundancy: 2 }), 'nonce_used')
      await world.take({ nonce: 902 })
      expect(await world.refusal({ nonce: 902, redundancy: 2 })).toBe('nonce_used')
      expect(await world.refusal({ nonce: 902 })).toBeNull()
      expect(await world.ids()).toHaveLength(1)
    })
  })

  describe('data', () => {
    const withData = async (
      data: string,
      { account = signer, nonce = undefined as number | undefined } = {},
    ) => {
      const request = await world.sign(nonce === undefined ? {} : { nonce })
      const { owner } = request.subscription
      const signed = { owner, nonce: request.signature.nonce, data }
      return { ...request, data_signature: await account.signTypedData(dataTypedDataOf(domain(), signed)) }
    }

    test('behavior: that is signed by somebody else, or for something else', async () => {
      await expectRefused(await withData('{"a":1}', { account: stranger }), 'invalid_signature')
      await expectRefused(await withData('{"a": 1}'), 'invalid_signature')
      await expectRefused({ ...(await world.sign()), data_signature: '0x00' as Hex }, 'invalid_signature')
    })

    test('behavior: that the consumer wants to be signed', async () => {
      await world.call('requireSignedData', true)
      await expectRefused(await world.sign(), 'data_not_signed')
      expect(await world.refusal(await withData('{"a":1}'))).toBeNull()
      await world.call('requireSignedData', false)
    })

    test('behavior: signed takes the place of what was not, before anything is begun; and not the other way', async () => {
      const activeAt = (await latestTime()) + 1_000
      const later = { active_at: activeAt, nonce: 700 }
      const copied = await world.sign(later)
      await world.take(copied, { data: '{"theirs":1}' })
      expect(await world.refusal(copied, { data: '{"a":1}' })).toBe('data_conflict')
      const dataSigned = { owner: copied.subscription.owner, nonce: 700, data: '{"a":1}' }
      const forged = await stranger.signTypedData(dataTypedDataOf(domain(), dataSigned))
      expect(await world.refusal({ ...copied, data_signature: forged }, { data: '{"a":1}' })).toBe(
        'invalid_signature',
      )
      const data_signature = await signer.signTypedData(dataTypedDataOf(domain(), dataSigned))
      await world.take({ ...copied, data_signature }, { data: '{"a":1}' })
      expect(await world.refusal(copied, { data: '{"theirs":1}' })).toBe('data_conflict')
      const rows = await world.queue.db.orm.all(sql`select data, data_signed from delegations`)
      expect(rows).toEqual([{ data: '{"a":1}', data_signed: 1 }])
    })

    test('behavior: signed is not replaced by what is not, though nothing came of it', async () => {
      const expiry = (await latestTime()) + 100
      const request = await world.sign({ nonce: 702, active_at: expiry, expiry })
      const { owner } = request.subscription
      const signData = async (data: string) =>
        await signer.signTypedData(dataTypedDataOf(domain(), { owner, nonce: 702, data }))
      await world.take({ ...request, data_signature: await signData('{"a":1}') })
      await world.chain.warp(101)
      await world.look(world.ticker())
      const own = (await world.subscriptions()).filter(({ id }) => id < 0)
      expect(own).toMatchObject([{ state: 'ended', reason: 'SignatureExpired' }])
      const anew = await world.sign({ nonce: 702, expiry: expiry + 1_000_000 })
      for (const data of ['{"theirs":1}', '{"a":1}'])
        expect(await world.refusal(anew, { data })).toBe('data_not_signed')
      const signed = { ...anew, data_signature: await signData('{"a":2}') }
      expect(await world.refusal(signed, { data: '{"theirs":1}' })).toBe('invalid_signature')
      expect(await world.refusal(signed, { data: '{"a":2}' })).toBeNull()
    })

    test('behavior: signed comes too late for what is begun', async () => {
      const signed = await withData('{"a":1}', { nonce: 701 })
      await world.take({ nonce: 701 }, { data: '{"theirs":1}' })
      expect(await world.refusal(signed)).toBe('data_conflict')
    })
  })

  describe('what it takes of the chain', () => {
    const signedLater = { active_at: 4_000_000_000 }

    test('default: what is refused without the chain asks it nothing', async () => {
      await register(world.queue.db, {
        ...(await world.queue.host()),
        version: 'test',
        containers: [
          policyOf('echo'),
          policyOf('inner', { external: false }),
          policyOf('office', { allowed_delegate_addresses: [`0x${'11'.repeat(20)}`] }),
          policyOf('dear', { accepted_payments: { [zeroAddress]: '10' } }),
        ],
      })
      const door = await world.door({ paymentAddress: nodeAddress })
      const taken = await world.sign({ nonce: 800 })
      await world.take(taken, { door })
      world.proxy.takeRequests()
      const asking: [string | null, Promise<DelegatedRequest>, string?][] = [
        ['unsupported_containers', world.sign({ containers: ['nobody'] })],
        ['not_external', world.sign({ containers: ['inner'] })],
        ['not_allowed', world.sign({ containers: ['office'] })],
        ['invalid_payment', world.sign({ containers: ['dear'], payment_amount: 9 })],
        ['unsupported_proof', world.sign({ verifier: stranger.address })],
        ['invalid_request', world.sign(signedLater)],
        ['nonce_used', world.sign({ nonce: 800, redundancy: 2 })],
        ['data_conflict', Promise.resolve(taken), '{"a":2}'],
        [null, Promise.resolve(taken)],
      ]
      for (const [code, request, data = '{"a":1}'] of asking)
        expect([code, await world.refusal(await request, { door, data })]).toEqual([code, code])
      expect(world.proxy.takeRequests()).toEqual([])
    })

    test('default: one request to verify, one for what a contract signs, one to try it, one for what it brings; each call of a stranger’s code is capped', async () => {
      await byContract(async () => {
        const paymentAddress = await fund(world.chain, { spender: nodeAddress, amount: 1n })
        const door = await world.door({ paymentAddress })
        const wallet = await fund(world.chain, { spender: world.consumer.address, amount: 5n })
        const asking = { payment_amount: 5, payment_token: zeroAddress, wallet }
        const request = await world.sign(asking)
        const { signature } = accepted(request)
        const forData = { owner: request.subscription.owner, nonce: signature.nonce, data: '{"a":1}' }
        const data_signature = `${dataDigestOf(domain(), forData)}${'00'.repeat(33)}` as const
        await world.refusal(await world.sign({ nonce: 803 }), { door })
        // Known for ten minutes.
        await door.wallet.look(door.now())
        world.proxy.takeRequests()
        const sent = { ...request, signature, data_signature }
        expect((await world.take(sent, { door })).job).not.toBeNull()
        const requests = world.proxy.takeRequests()
        expect(requests).toHaveLength(4)
        const calls = requests.flatMap(({ calls }) => calls).filter(({ method }) => method === 'eth_call')
        const { coordinator, walletFactory } = world.chain
        const uncapped = calls
          .map(({ params }) => params[0] as { to: string; data: string; gas?: Hex })
          .filter(({ gas }) => gas === undefined || BigInt(gas) > 5_000_000n)
        // Of our own contracts, what has no stranger called.
        expect(new Set(uncapped.map(({ to, data }) => `${to} ${data.slice(0, 10)}`))).toEqual(
          new Set([
            `${coordinator.toLowerCase()} ${selectorOf('delegateCreatedIds')}`,
            `${coordinator.toLowerCase()} ${toFunctionSelector('id()')}`,
            `${walletFactory.toLowerCase()} ${toFunctionSelector('isValidWallet(address)')}`,
            `${world.chain.fee.toLowerCase()} ${toFunctionSelector('quote()')}`,
            `${world.chain.fee.toLowerCase()} ${toFunctionSelector('FEE()')}`,
          ]),
        )
        const strangers = calls
          .map(({ params }) => params[0] as { to: string; gas?: Hex })
          .filter(
            ({ to }) =>
              ![coordinator, walletFactory, world.chain.fee].some(
                ours => ours.toLowerCase() === to.toLowerCase(),
              ),
          )
        expect(strangers.length).toBeGreaterThanOrEqual(5)
        for (const { gas } of strangers) expect(BigInt(gas ?? 1e9)).toBeLessThanOrEqual(500_000n)
      })
    })
  })

  describe('an endpoint that lags', () => {
    test('behavior: is not believed over the head that the node has looked at', async () => {
      await world.mine(5)
      await world.ask()
      await world.look(world.ticker())
      const request = await world.sign()
      const door = await world.door()
      world.proxy.setFault(() => ({ kind: 'stale', blocks: 3 }))
      await expect(world.send(request, { door })).rejects.toThrow(RpcUnavailable)
      expect(await world.ids()).toEqual([])
      world.proxy.setFault(undefined)
      expect(await world.refusal(request, { door: await world.door() })).toBeNull()
    })

    /** At the head it is created, by somebody else, and perhaps answered; neither the door nor the node's ticker have got there. */
    const stories = [1, 2].flatMap(redundancy =>
      (['create', 'answer'] as const).flatMap(does =>
        [false, true].map(sendsEarly => ({ redundancy, does, sendsEarly })),
      ),
    )
    test.for(stories)(
      'behavior: is behind what has created it: linked, computed once and answered once; redundancy $redundancy, others $does it, sent from behind: $sendsEarly',
      async ({ redundancy, does, sendsEarly }) => {
        const node = world.ticker()
        await world.mine(5)
        const id = (await world.ask()) + 1
        await world.look(node)
        const request = await world.sign({ redundancy })
        await world[does](request)
        const door = await world.door()
        world.proxy.setFault(() => ({ kind: 'stale', blocks: 1 }))
        expect(await world.take(request, { door })).toMatchObject({
          subscriptionId: null,
          job: expect.any(String),
        })
        const before = (await world.queue.ids()).length
        if (sendsEarly) {
          await world.compute()
          await world.look(node)
        }
        world.proxy.setFault(undefined)
        await world.look(node)
        await world.compute()
        await world.settle(node)
        await world.settle(node)
        expect(await world.ids()).toEqual([id])
        expect(await world.queue.ids()).toHaveLength(before)
        const theirs = does === 'answer' ? 1 : 0
        const answered = (await world.fulfilled()).filter(each => each === id)
        expect(answered).toHaveLength(Math.min(redundancy, theirs + 1))
        const [delivery] = (await world.deliveries()).filter(({ subscription }) => subscription === id)
        const isOurs = answered.length > theirs
        expect(delivery).toMatchObject({ interval: 1, state: isOurs ? 'delivered' : 'dropped' })
        expect(await world.subscriptions()).toContainEqual(expect.objectContaining({ id, state: 'ended' }))
      },
    )

    test('behavior: another is asked in its place', async () => {
      await world.mine(5)
      await world.ask()
      await world.look(world.ticker())
      const door = await world.door()
      const late = await startRpcProxy(world.chain.rpcUrl, {
        firstDeployment,
        fault: () => ({ kind: 'stale', blocks: 3 }),
      })
      try {
        const urls = [late.url, world.proxy.url]
        const rpc = createRpcPool({ urls, chainId: world.chain.id, now: Date.now })
        const chain = { ...door.chain, rpc }
        const both = { ...door, chain, noteHead: createNoteHead(chain) }
        world.proxy.takeRequests()
        expect(await world.refusal({}, { door: both })).toBeNull()
        expect([late.takeRequests().length, world.proxy.takeRequests().length]).toEqual([
          expect.toSatisfy((count: number) => count > 0),
          expect.toSatisfy((count: number) => count > 0),
        ])
      } finally {
        await late.close()
      }
    })
  })

  describe('a chain that does not say', () => {
    const calls = {
      'its newest block': 'eth_getBlockByNumber',
      'who signs': toFunctionSelector('getSigner()'),
      'what the nonce has created': selectorOf('delegateCreatedIds'),
      'whether it can be created': selectorOf('createSubscriptionDelegatee'),
      'whether data has to be signed': toFunctionSelector('requiresSignedData()'),
    }
    const troubles: RpcAnswer[] = [
      { error: { code: -32_603, message: 'Internal error' } },
      { error: { code: -32_000, message: 'Something odd' } },
    ]

    test.for(Object.entries(calls))(
      'behavior: %s: it is no refusal, and nothing is stored',
      async ([, part]) => {
        for (const trouble of troubles)
          for (const account of [signer, stranger]) {
            // One that has not met any trouble yet.
            const door = await world.door()
            world.proxy.setOverride(call => (isOf(call, part) ? trouble : null))
            await expect(world.send(await world.sign({ account }), { door })).rejects.toThrow(RpcUnavailable)
            expect(await world.ids()).toEqual([])
            world.proxy.setOverride(undefined)
          }
      },
    )

    test('behavior: anything', async () => {
      const door = await world.door()
      world.proxy.setFault(() => ({ kind: 'reset' }))
      await expect(world.send(await world.sign(), { door })).rejects.toThrow(RpcUnavailable)
      expect(await world.ids()).toEqual([])
    })

    test('behavior: whether a contract has signed the data', async () => {
      await byContract(async () => {
        const request = await world.sign()
        const { owner } = request.subscription
        const signed = { owner, nonce: request.signature.nonce, data: '{"a":1}' }
        const data_signature = `${dataDigestOf(domain(), signed)}${'00'.repeat(33)}` as const
        const { signature } = accepted(request)
        for (const trouble of troubles) {
          const door = await world.door()
          world.proxy.setOverride(call =>
            isOf(call, `"${toFunctionSelector('isValidSignature(bytes32,bytes)')}`) ? trouble : null,
          )
          const asked = { ...request, signature, data_signature }
          await expect(world.send(asked, { door })).rejects.toThrow(RpcUnavailable)
          expect(await world.ids()).toEqual([])
          world.proxy.setOverride(undefined)
        }
        const door = await world.door()
        expect(await world.refusal({ ...request, signature, data_signature }, { door })).toBeNull()
      })
    })
  })
})

import { describe, expect, test, vi } from 'vitest'
import { parseConfig } from '../../src/edge/config.ts'
import { ConfigError } from '../../src/edge/config-error.ts'
import { addressAllowed, clientAddress, ownerOf } from '../../src/edge/runners/address.ts'
import { admit, createAdmission } from '../../src/edge/runners/admit.ts'
import { mergePolicies, type PolicySnapshot } from '../../src/edge/runners/policy.ts'
import { policyOf } from '../support/runner.ts'

describe('policies', () => {
  const snapshotOf = (...byRunner: ReturnType<typeof policyOf>[][]): PolicySnapshot => ({
    epoch: 1,
    schema: 'current',
    keys: new Map(byRunner.map((_, index) => [`runner-${index}`, 'key'])),
    containers: mergePolicies(byRunner),
    fleets: new Map(),
    live: [],
    loadedAt: 0,
  })
  const codeOf = (snapshot: PolicySnapshot, request: Partial<Parameters<typeof admit>[1]> = {}) =>
    admit(snapshot, {
      containers: ['a'],
      requiresProof: false,
      requires: null,
      address: '192.0.2.1',
      ...request,
    })?.code ?? 'admitted'

  test('default: what one runner offers is known, whichever it is', () => {
    const snapshot = snapshotOf([policyOf('a')], [policyOf('b')], [])
    expect(codeOf(snapshot, { containers: ['a', 'b'] })).toBe('admitted')
    expect(codeOf(snapshot, { containers: ['a', 'c'] })).toBe('unsupported_container')
  })

  test('behavior: of a batch what is asked alike is judged once, by hosts that have the container', () => {
    const there = new Map([['a', { gpu: ['nvidia h100'] }]])
    const other = new Map([['b', { gpu: ['tesla t4'] }]])
    const looks = [vi.spyOn(there, 'has'), vi.spyOn(other, 'has')] as const
    const fleets = new Map([
      ['a', [{ containers: there }]],
      ['b', [{ containers: other }]],
    ])
    const admission = createAdmission({ ...snapshotOf([policyOf('a'), policyOf('b')]), fleets })
    const asked = { containers: ['a'], requiresProof: false, address: null }
    for (let index = 0; index < 100; index += 1) {
      expect(admission({ ...asked, requires: { gpu: 'h100' } })).toBeNull()
      expect(admission({ ...asked, requires: { gpu: 't4' } })?.code).toBe('unmet_requires')
    }
    expect(looks.map(look => look.mock.calls.length)).toEqual([2, 0])
  })

  test('behavior: the strictest wins: flags', () => {
    const strict = snapshotOf(
      [policyOf('a', { generates_proofs: true })],
      [policyOf('a', { external: false })],
    )
    expect(codeOf(strict)).toBe('not_external')
    const proofs = snapshotOf([policyOf('a', { generates_proofs: true })], [policyOf('a')])
    expect(codeOf(proofs, { requiresProof: true })).toBe('unsupported_proof')
    expect(codeOf(snapshotOf([policyOf('a', { generates_proofs: true })]), { requiresProof: true })).toBe(
      'admitted',
    )
  })

  test('behavior: the strictest wins: an address must be on every list, an empty list is everyone', () => {
    const lists = (...allowed: string[][]) =>
      snapshotOf(...allowed.map(allowed_ips => [policyOf('a', { allowed_ips })]))
    expect(codeOf(lists(['192.0.2.0/24'], ['192.0.2.1']))).toBe('admitted')
    expect(codeOf(lists(['192.0.2.0/24'], []))).toBe('admitted')
    expect(codeOf(lists(['192.0.2.0/24'], ['192.0.2.2']))).toBe('not_allowed')
    expect(codeOf(lists(['192.0.2.0/24']), { address: null })).toBe('not_allowed')
    expect(codeOf(lists([]), { address: null })).toBe('admitted')
  })

  test('behavior: names that objects have by birth are not containers', () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(codeOf(snapshotOf([policyOf('a')]), { containers: [name] })).toBe('unsupported_container')
    }
  })
})

describe('addresses', () => {
  test.for([
    [['192.0.2.1'], '192.0.2.1', true],
    [['192.0.2.1'], '192.0.2.2', false],
    [['192.0.2.0/24'], '192.0.2.255', true],
    [['192.0.2.0/24'], '192.0.3.0', false],
    [['192.0.2.1'], '::ffff:192.0.2.1', true],
    [['2001:db8::/32'], '2001:db8:1::1', true],
    [['2001:db8::/32'], '192.0.2.1', false],
    [['2001:0DB8:0::1'], '2001:db8::1', true],
    [['nonsense', '300.0.0.1', '192.0.2.0/99'], '192.0.2.1', false],
    [['0.0.0.0/0'], 'nonsense', false],
  ] as const)('behavior: list %j, address %s: %s', ([list, address, allowed]) => {
    expect(addressAllowed(list, address)).toBe(allowed)
  })

  test.for([
    ['192.0.2.1', 'ip:192.0.2.1'],
    ['::ffff:192.0.2.1', 'ip:192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', 'ip:2001:db8:1:2::/64'],
    ['2001:DB8:1:2::', 'ip:2001:db8:1:2::/64'],
    ['fe80::1%eth0', 'ip:fe80::/64'],
    ['::1', 'ip:::/64'],
    ['*', 'ip:unknown'],
    ['', 'ip:unknown'],
    [null, 'ip:unknown'],
  ] as const)('behavior: %s is owned by %s', ([address, owner]) => expect(ownerOf(address)).toBe(owner))

  test.for([
    [undefined, null],
    ['', null],
    ['192.0.2.1', '192.0.2.1'],
    ['203.0.113.9, 192.0.2.1', '192.0.2.1'],
    ['spoofed,192.0.2.1 ', '192.0.2.1'],
  ] as const)('behavior: the header %s tells of %s', ([header, address]) =>
    expect(clientAddress(header)).toBe(address),
  )
})

describe('config', () => {
  const needed = { DATABASE_URL: 'http://127.0.0.1:8080', ORIGIN: 'https://edge.example/path?x' }

  test('default: every default, and an origin without a path', () => {
    expect(parseConfig(needed)).toEqual({
      DATABASE_URL: 'http://127.0.0.1:8080',
      ORIGIN: 'https://edge.example',
      CLIENT_IP_HEADER: 'cf-connecting-ip',
      MAX_QUEUED_PER_OWNER: 10_000,
      MAX_QUEUED: 100_000,
      MAX_QUEUED_MIB_PER_OWNER: 1_024,
      MAX_QUEUED_MIB: 16_384,
      MAX_TRIES: 3,
      LEASE_SECONDS: 60,
      HEARTBEAT_SECONDS: 20,
      MAX_RUN_SECONDS: 86_400,
      QUEUE_EXPIRY_SECONDS: 86_400,
      RETENTION_SECONDS: 604_800,
      LEDGER_RETENTION_DAYS: 3_653,
      STREAM_EXPIRY_SECONDS: 60,
      STREAM_STORED_MIB: 16,
      chains: [],
    })
  })

  test('behavior: names every problem at once, and no value', () => {
    const wrong = {
      DATABASE_URL: 'secret:',
      ADMIN_TOKEN: 'secret',
      MAX_TRIES: 'secret',
      CLIENT_IP_HEADER: 'Secret',
    }
    const message = (() => {
      try {
        parseConfig(wrong)
      } catch (error) {
        return error instanceof ConfigError ? error.message : ''
      }
      return ''
    })()
    for (const name of [...Object.keys(wrong), 'ORIGIN']) expect(message).toContain(`- ${name}: `)
    expect(message).toContain('- ORIGIN: is missing')
    expect(message.toLowerCase()).not.toContain('secret:')
    expect(message).not.toMatch(/"secret"/i)
  })

  test('behavior: a lease that ends before its first heartbeat is refused', () => {
    const faulty = { ...needed, LEASE_SECONDS: '20', HEARTBEAT_SECONDS: '20' }
    expect(() => parseConfig(faulty)).toThrow('- HEARTBEAT_SECONDS: must be less than LEASE_SECONDS')
  })
})

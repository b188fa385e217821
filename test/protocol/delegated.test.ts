import { toJsonSchema } from '@valibot/to-json-schema'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  DelegatedRequestBody,
  DelegatedSignature,
  DelegatedSubscription,
  isDelegated,
  parseDelegated,
} from '../../src/protocol/delegated.ts'
import { type Json, jsonText, parseJson, plain } from '../../src/protocol/json.ts'

const zero = `0x${'0'.repeat(40)}`
const r = '65889417385093675483514529008005148195244649598130052620358945592247573155127'
const s = '16018341389967729144927587724194533901951834912209301449609113421241962407810'
const hash = '5768661526084c7b4d30f7224ed6c74ade98db3c6c395c55400a17f34a547e22'

/** As the reference's client sends it. */
const body = `{"signature": {"nonce": 0, "expiry": 4000000000, "v": 28, "r": ${r}, "s": ${s}},
  "subscription": {"owner": "0x5FbDB2315678afecb367f032d93F642f64180aa3", "active_at": 0, "period": 0, "frequency": 1,
    "redundancy": 1, "containers": "${hash}", "lazy": false, "verifier": "${zero}", "payment_amount": 0,
    "payment_token": "${zero}", "wallet": "${zero}"}, "data": {"prompt": "hi"}}`
const request = {
  subscription: {
    owner: '0x5fbdb2315678afecb367f032d93f642f64180aa3',
    active_at: 0,
    period: 0,
    frequency: 1,
    redundancy: 1,
    containers: `0x${hash}`,
    lazy: false,
    verifier: zero,
    payment_amount: 0n,
    payment_token: zero,
    wallet: zero,
  },
  signature: {
    nonce: 0,
    expiry: 4_000_000_000,
    v: 28,
    r: `0x${BigInt(r).toString(16).padStart(64, '0')}`,
    s: `0x${BigInt(s).toString(16).padStart(64, '0')}`,
  },
  chain_id: null,
  data_signature: null,
  requires_proof: undefined,
}
const parse = (text: string) => parseDelegated(plain(parseJson(text)))

/** The same body with one field replaced by a JSON text; null: taken out. */
function changed(path: string, value: string | null): string {
  const root = parseJson(body) as Map<string, Json>
  const steps = path.split('.')
  const parent = steps.slice(0, -1).reduce((at, step) => at.get(step) as Map<string, Json>, root)
  const last = steps.at(-1)!
  if (value === null) parent.delete(last)
  else parent.set(last, parseJson(value))
  return jsonText(root)
}

describe('parseDelegated', () => {
  test('behavior: a signature for the data is 65 bytes, with or without 0x', () => {
    const bytes = 'aB'.repeat(65)
    const parsed = { request: { ...request, data_signature: `0x${'ab'.repeat(65)}` } }
    for (const text of [bytes, `0x${bytes}`, `0X${bytes}`])
      expect(parse(changed('data_signature', `"${text}"`))).toEqual(parsed)
    expect(parse(changed('data_signature', 'null'))).toEqual({ request })
    for (const wrong of [
      '7',
      '""',
      '"0x"',
      `"${bytes.slice(2)}"`,
      `"0x${bytes}00"`,
      `"${'zz'.repeat(65)}"`,
      '{}',
    ])
      expect(parse(changed('data_signature', wrong))).toEqual({
        problems: ['data_signature: must be a signature: 0x and 130 hexadecimal digits'],
      })
  })

  test('default: a request of the reference, with all digits of its signature', () => {
    expect(parse(body)).toEqual({ request })
  })

  test('behavior: a chain is named, other keys are ignored', () => {
    const text = changed('chain_id', '8453').replace('{', '{"id":"x","ip":"::1","requires_proof":true,')
    expect(parse(text)).toEqual({ request: { ...request, chain_id: 8453, requires_proof: true } })
    expect(parse(changed('subscription.inputs', '"more"'))).toEqual({ request })
    expect(parse(changed('chain_id', 'null'))).toEqual({ request })
  })

  test('behavior: wide numbers are integers, decimal text or hexadecimal text, and mean the same', () => {
    const wide = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n })
    fc.assert(
      fc.property(wide, value => {
        const hex = value.toString(16)
        for (const text of [`${value}`, `"${value}"`, `"0x${hex}"`, `"0X${hex.toUpperCase()}"`]) {
          const read = (path: string) => parse(changed(path, text)).request
          expect(read('subscription.payment_amount')?.subscription.payment_amount).toBe(value)
          for (const key of ['r', 's'] as const)
            expect(read(`signature.${key}`)?.signature[key]).toBe(`0x${hex.padStart(64, '0')}`)
        }
      }),
    )
  })

  const uint = (bits: number) => `must be a whole number from 0 to ${2 ** bits - 1}`
  const uint256 =
    'must be a whole number from 0 to 2^256 - 1 with all its digits, or the same as text: decimal, or 0x and hexadecimal digits'
  const address = 'must be an address: 0x and 40 hexadecimal digits'
  const bytes32 = 'must be 32 bytes: 0x and 64 hexadecimal digits'
  const notWhole = ['"1"', '1.0', '1e2', '-1', 'true', 'null', '[]', '{}']
  const wrong: [path: string, message: string, values: string[]][] = [
    ...['active_at', 'period', 'frequency'].map((key): [string, string, string[]] => [
      `subscription.${key}`,
      uint(32),
      [...notWhole, '4294967296'],
    ]),
    ['subscription.redundancy', uint(16), [...notWhole, '65536']],
    ['signature.nonce', uint(32), [...notWhole, '4294967296']],
    ['signature.expiry', uint(32), [...notWhole, '4294967296']],
    ['signature.v', uint(8), [...notWhole, '256']],
    ...['subscription.payment_amount', 'signature.r', 'signature.s'].map(
      (path): [string, string, string[]] => [
        path,
        uint256,
        [
          '-1',
          '1.0',
          '1e2',
          'null',
          '""',
          '"0x"',
          '"1.0"',
          '" 1"',
          '"ab"',
          '"0b1"',
          `"0x1${'0'.repeat(64)}"`,
        ].concat(`${2n ** 256n}`, `"${2n ** 256n}"`, `"${'0'.repeat(100_000)}"`, '[]', '{"float":"1"}'),
      ],
    ),
    ...['owner', 'verifier', 'payment_token', 'wallet'].map((key): [string, string, string[]] => [
      `subscription.${key}`,
      address,
      ['""', '"0x"', `"${zero}0"`, `"${zero.slice(0, -1)}"`, `"0x0x${'0'.repeat(36)}"`, '0', 'null', '[]'],
    ]),
    [
      'subscription.containers',
      bytes32,
      [
        '"hello-world"',
        '["hello-world"]',
        `"0x${hash}0"`,
        `"${hash.slice(1)}"`,
        `"0x${hash.slice(2)}"`,
        'null',
      ],
    ],
    ['subscription.lazy', 'must be true or false', ['0', '"false"', 'null']],
    ['requires_proof', 'must be true or false', ['0', '"false"']],
    [
      'chain_id',
      'must be a whole number from 1 to 9007199254740991',
      ['0', '"1"', '1.5', '9007199254740992'],
    ],
    ['subscription', 'must be an object', ['null', '5', '"x"']],
    ['signature', 'must be an object', ['null', '5', '"x"']],
  ]
  test.each(wrong)('behavior: one problem for %s: %s', (path, message, values) => {
    for (const value of values)
      expect([value, parse(changed(path, value))]).toEqual([value, { problems: [`${path}: ${message}`] }])
    if (path !== 'chain_id' && path !== 'requires_proof')
      expect(parse(changed(path, null))).toEqual({ problems: [`${path}: is missing`] })
  })

  test('behavior: all problems at once, and nothing of what was sent', () => {
    const secret = changed('signature.v', '"SECRET"').replace('"redundancy":1', '"redundancy":"SECRET"')
    expect(parse(secret)).toEqual({
      problems: [`subscription.redundancy: ${uint(16)}`, `signature.v: ${uint(8)}`],
    })
    for (const text of ['null', '[]', '5', '"x"'])
      expect(parse(text).problems?.length, text).toBeGreaterThan(0)
    expect(parse('{}')).toEqual({ problems: ['subscription: is missing', 'signature: is missing'] })
  })

  test('behavior: digits that JSON.parse has taken away are noticed', () => {
    const { problems } = parseDelegated(JSON.parse(body))
    expect(problems).toEqual([`signature.r: ${uint256}`, `signature.s: ${uint256}`])
  })
})

describe('isDelegated', () => {
  test('default: by its shape; names of containers make it an ordinary job', () => {
    const both = { signature: {}, subscription: {} }
    for (const value of [
      both,
      { ...both, data: 1 },
      { ...both, containers: 'x' },
      { ...both, containers: [1] },
    ])
      expect([value, isDelegated(value)]).toEqual([value, true])
    for (const value of [
      { ...both, containers: ['a'] },
      { ...both, containers: [] },
      { signature: {} },
      {},
      [],
      null,
    ])
      expect([value, isDelegated(value)]).toEqual([value, false])
  })
})

test('behavior: the documented body has the fields of the schemas', () => {
  const { subscription, signature } = DelegatedRequestBody.entries
  expect(Object.keys(subscription.entries)).toEqual(Object.keys(DelegatedSubscription.entries))
  expect(Object.keys(signature.entries)).toEqual(Object.keys(DelegatedSignature.entries))
  expect(toJsonSchema(DelegatedRequestBody)).toMatchObject({
    required: ['subscription', 'signature', 'data'],
  })
})

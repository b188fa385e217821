import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { cleaned } from '../../../src/edge/chain/clean.ts'

const address = '0x70997970c51812dc3a010c7d01b50e0d17dc79c8'

test.for([
  ['ERC20: transfer amount exceeds balance', 'ERC20: transfer amount exceeds balance'],
  ['have 12 want 345, EIP-1559 (30000000)', 'have 12 want 345, EIP-1559 (30000000)'],
  [`not for ${address}.`, `not for ${address}.`],
  ['see https://user:pass@rpc.test/v2/abc?x=y for more', 'see … for more'],
  ['see wss://rpc.test, then', 'see … then'],
  ['upstream eth-mainnet.rpc.test/v3/abc is down', 'upstream … is down'],
  ['dial tcp 10.0.0.1:8545: refused', 'dial tcp … refused'],
  ['invalid api key: hunter2', 'invalid …'],
  ['invalid project id="abc"', 'invalid …'],
  ['Authorization: Bearer abc', 'Authorization: …'],
  ['no plan for 3f9a8b7c6d5e', 'no plan for …'],
  ['no plan for abcdefghijklmnopqrstuvwxyz', 'no plan for …'],
  [`signed with ${address}${'0'.repeat(24)}`, 'signed with …'],
  ['one\n\ttwo\u001b[31m three', 'one two [31m three'],
] as const)('default: %s', ([text, shown]) => {
  expect(cleaned(text)).toBe(shown)
})

test('behavior: it is bounded', () => {
  const long = cleaned('no, '.repeat(1_000))
  expect([long.length, long.at(-1)]).toEqual([200, '…'])
})

test('behavior: a key is not shown, wherever it stands', () => {
  const key = fc.stringMatching(/^[0-9a-zA-Z_-]{8,30}[0-9][a-z][0-9a-zA-Z_-]{8,30}$/)
  const around = fc.constantFrom('', ' ', ' in "', '/', '=', ': ', ' https://a.test/', '?', '(', '\n')
  const property = fc.property(key, around, around, (key, before, after) => {
    expect(cleaned(`error${before}${key}${after}end`)).not.toContain(key)
  })
  fc.assert(property)
})

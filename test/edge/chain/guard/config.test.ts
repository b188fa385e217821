import { expect, test } from 'vitest'
import { parseChains } from '../../../../src/edge/chain/config.ts'
import { digestOf } from '../../../../src/edge/chain/guard/rejudge.ts'
import { ConfigError } from '../../../../src/edge/config-error.ts'

const registry = `0x${'11'.repeat(20)}`
const verifier = '0x663F3ad617193148711d28f5334eE4Ed07016602'
const token = `0x${'22'.repeat(20)}`

function parse(entry: object) {
  const [settings] = parseChains({
    CHAINS: JSON.stringify([{ id: 1, registry, ...entry }]),
    CHAIN_1_RPC_URLS: 'https://one.test',
    CHAIN_1_PRIVATE_KEY: `0x${'77'.repeat(32)}`,
  })
  if (!settings) throw new Error('There is no chain')
  return settings.config
}

function problemsOf(entry: object): readonly string[] {
  try {
    parse(entry)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

test('default: in full', () => {
  const { guard } = parse({
    limits: {
      reverted_per_day: 1,
      rejected_per_day: 5,
      wasted_gas_per_day: 2,
      unpaid_gas_per_day: 3,
      dropped_per_day: null,
    },
    verifiers: { [verifier]: { max_stake: { [token]: '340282366920938463463374607431768211456' } } },
    serve: { free_gas_per_day: 7 },
    token_prices: { [token]: '400000000.5' },
    gas_guess: 30_000,
  })
  expect(guard).toMatchObject({
    limits: { reverted: 1, rejected: 5, wastedGas: 2, unpaidGas: 3, dropped: null },
    verifiers: new Map([[verifier.toLowerCase(), new Map([[token, 2n ** 128n]])]]),
    worth: {
      serve: { kind: 'free', freeGas: 7 },
      prices: new Map([
        [`0x${'00'.repeat(20)}`, 10n ** 18n],
        [token, 4_000_000_005n * 10n ** 17n],
      ]),
      gasGuess: 30_000,
    },
  })
})

test('behavior: no verifier is trusted unless it is named; that any is, has to be said', () => {
  expect(parse({}).guard.verifiers).toEqual(new Map())
  expect(parse({ verifiers: {} }).guard.verifiers).toEqual(new Map())
  expect(parse({ verifiers: 'any' }).guard.verifiers).toBeNull()
})

test.each<[string, object, string]>([
  ['limits', { limits: { reverted_per_day: 0 } }, 'limits.reverted_per_day'],
  ['limits', { limits: { per_year: 1 } }, 'limits.per_year: is not known'],
  ['verifiers', { verifiers: { nobody: { max_stake: {} } } }, 'verifiers'],
  ['verifiers', { verifiers: null }, 'verifiers: must be "any", or an object in braces'],
  ['verifiers', { verifiers: [] }, 'verifiers: must be "any", or an object in braces'],
  ['verifiers', { verifiers: 'all' }, 'verifiers: must be "any", or an object in braces'],
  ['verifiers', { verifiers: { [verifier]: {} } }, 'max_stake: is missing'],
  ['serve', { serve: 'sometimes' }, 'serve: must be "always"'],
  ['serve', { serve: { free_gas_per_day: -1 } }, 'serve'],
  ['token_prices', { token_prices: { [token]: 1 } }, 'in quotes'],
  ['token_prices', { token_prices: [] }, 'token_prices: must be an object in braces'],
  ['gas_guess', { gas_guess: 1 }, 'gas_guess: must be a whole number'],
  ['max_stake', { verifiers: { [verifier]: { max_stake: { [token]: 1 } } } }, 'in quotes'],
])('error: %s %j', (_, entry, said) => {
  const problems = problemsOf(entry)
  expect(problems).toHaveLength(1)
  expect(problems[0]).toMatch(/^CHAINS\[0\]\./)
  expect(problems[0]).toContain(said)
})

test('behavior: the digest tells one configuration from another, and not one order from another', () => {
  const stakes = { [token]: '1', [registry]: '2' }
  const other = `0x${'33'.repeat(20)}`
  const one = parse({ verifiers: { [verifier]: { max_stake: stakes }, [other]: { max_stake: {} } } })
  const turned = parse({
    verifiers: {
      [other]: { max_stake: {} },
      [verifier]: { max_stake: { [registry]: '2', [token]: '1' } },
    },
  })
  expect(digestOf(turned)).toBe(digestOf(one))
  const others = [
    parse({}),
    parse({ verifiers: 'any' }),
    parse({ verifiers: { [verifier]: { max_stake: { ...stakes, [token]: '3' } } } }),
    parse({ payment_address: other }),
    parse({ limits: { reverted_per_day: 1 } }),
  ].map(digestOf)
  expect(new Set([digestOf(one), ...others]).size).toBe(others.length + 1)
})

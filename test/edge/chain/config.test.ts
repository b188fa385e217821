import { describe, expect, test } from 'vitest'
import { parseChains, secretNames } from '../../../src/edge/chain/config.ts'
import { openGuard } from '../../../src/edge/chain/guard/guard.ts'
import { parseConfig } from '../../../src/edge/config.ts'
import { ConfigError } from '../../../src/edge/config-error.ts'

const registry = '0x663F3ad617193148711d28f5334eE4Ed07016602'
const key = 'ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'

type Env = Record<string, unknown>

function envOf(chains: unknown, more: Env = {}): Env {
  return {
    CHAINS: typeof chains === 'string' ? chains : JSON.stringify(chains),
    CHAIN_1_RPC_URLS: 'https://one.test/s3cret',
    CHAIN_1_PRIVATE_KEY: key,
    ...more,
  }
}

const one = (more: object = {}) => envOf([{ id: 1, registry, ...more }])

function problemsOf(env: Env, parse: (env: Env) => unknown = parseChains): readonly string[] {
  try {
    parse(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

test('default: every default', () => {
  expect(parseChains(one())).toEqual([
    {
      config: {
        id: 1,
        registry: registry.toLowerCase(),
        confidence: 'latest',
        trailHeadBlocks: 0,
        allowedSimErrors: [],
        gas: {
          maxFeePerGas: 200_000_000_000n,
          minPriorityFeePerGas: 1_000_000n,
          maxGasLimit: 5_000_000,
          bumpAfterBlocks: 3,
          bumpPercent: 15,
          maxInFlight: 16,
        },
        paymentAddress: '0x0000000000000000000000000000000000000000',
        maxOutputBytes: 32_768,
        stringOutput: 'json',
        startingSubId: 0,
        batchSize: 100,
        reorgDepth: 64,
        maxWaitSeconds: 31_536_000,
        // Everybody is served, and no verifier is trusted.
        guard: { ...openGuard, verifiers: new Map() },
      },
      urls: ['https://one.test/s3cret'],
      privateKey: `0x${key}`,
    },
  ])
})

test('default: every key, of several chains', () => {
  const full = {
    id: 8453,
    registry,
    confidence: 'latest',
    trail_head_blocks: 3,
    allowed_sim_errors: [' Not Ready '],
    payment_address: '0x60985ee8192B322c3CAbA97A9A9f7298bdc4335C',
    starting_sub_id: 7,
    batch_size: 500,
    max_output_bytes: 1_024,
    string_output: 'python',
    reorg_depth: 10,
    max_wait_days: 2,
    gas: {
      max_fee_gwei: '0.000000001',
      min_priority_fee_gwei: 0.000000001,
      max_gas_limit: 1_000_000,
      bump_after_blocks: 1,
      bump_percent: 12.5,
      max_in_flight: 1,
    },
  }
  const urls = ' http://localhost:8545, http://anvil:8545\nhttps://user:word@rpc.test/v1 '
  const chains = parseChains(
    envOf([{ id: 1, registry, confidence: 'finalized' }, full], {
      CHAIN_8453_RPC_URLS: urls,
      CHAIN_8453_PRIVATE_KEY: `0x${key.toUpperCase()}`,
    }),
  )
  expect(chains.map(({ config }) => [config.id, config.confidence])).toEqual([
    [1, 'finalized'],
    [8453, 'latest'],
  ])
  expect(chains[1]).toMatchObject({
    config: {
      trailHeadBlocks: 3,
      allowedSimErrors: ['not ready'],
      paymentAddress: full.payment_address.toLowerCase(),
      startingSubId: 7,
      batchSize: 500,
      maxOutputBytes: 1_024,
      stringOutput: 'python',
      reorgDepth: 10,
      maxWaitSeconds: 172_800,
      gas: { maxFeePerGas: 1n, minPriorityFeePerGas: 1n, bumpPercent: 12.5, maxInFlight: 1 },
    },
    urls: ['http://localhost:8545', 'http://anvil:8545', 'https://user:word@rpc.test/v1'],
    privateKey: `0x${key}`,
  })
})

test('default: without CHAINS, none, whatever else there is', () => {
  expect(parseChains({ CHAIN_1_RPC_URLS: 'nonsense' })).toEqual([])
  expect(parseChains(envOf([]))).toEqual([])
})

describe('what is wrong is named', () => {
  test.for<[string, Env, string]>([
    ['no JSON', envOf('[{"id": 1,]'), 'CHAINS: is not JSON'],
    ['empty', envOf(''), 'CHAINS: is not JSON'],
    ['no list', envOf('{"id": 1}'), 'CHAINS: must be a list of chains in brackets, as JSON text'],
    ['no text', { CHAINS: 1 }, 'CHAINS: must be a list of chains in brackets, as JSON text'],
    ['too many', envOf(Array(17).fill({})), 'CHAINS: must have at most 16 chains'],
    ['a chain that is none', envOf([1]), 'CHAINS[0]: must be an object in braces'],
    ['no id', envOf([{ registry }]), 'CHAINS[0].id: is missing'],
    ['no registry', envOf([{ id: 1 }]), 'CHAINS[0].registry: is missing'],
    ['an unknown key', one({ rpc_url: 'x' }), 'CHAINS[0].rpc_url: is not known'],
    ['an unknown key of gas', one({ gas: { price: 1 } }), 'CHAINS[0].gas.price: is not known'],
    ['gas that is none', one({ gas: 5 }), 'CHAINS[0].gas: must be an object in braces'],
    ['zero registry', one({ registry: `0x${'0'.repeat(40)}` }), 'CHAINS[0].registry: must not be the zero'],
    ['a wrong checksum', one({ registry: registry.replace('F', 'f') }), 'CHAINS[0].registry: must be an add'],
    ['a short address', one({ payment_address: '0x12' }), 'CHAINS[0].payment_address: must be an address'],
    ['an unknown confidence', one({ confidence: 'sure' }), 'CHAINS[0].confidence: must be "latest", "safe"'],
    ['a negative trail', one({ trail_head_blocks: -1 }), 'CHAINS[0].trail_head_blocks: must be a whole'],
    ['half a block', one({ trail_head_blocks: 0.5 }), 'CHAINS[0].trail_head_blocks: must be a whole number'],
    [
      'a trail behind what is safe',
      one({ confidence: 'safe', trail_head_blocks: 1 }),
      'CHAINS[0].trail_head_blocks: must be 0 unless',
    ],
    [
      'an empty text',
      one({ allowed_sim_errors: ['ok', ' '] }),
      'CHAINS[0].allowed_sim_errors[1]: must not be',
    ],
    ['no text', one({ allowed_sim_errors: [1] }), 'CHAINS[0].allowed_sim_errors[0]: must be text'],
    ['no list', one({ allowed_sim_errors: 'x' }), 'CHAINS[0].allowed_sim_errors: must be a list of texts'],
    ['a large batch', one({ batch_size: 501 }), 'CHAINS[0].batch_size: must be a whole number from 1 to 500'],
    ['numbers as text', one({ batch_size: '5' }), 'CHAINS[0].batch_size: must be a whole number'],
    ['a large output', one({ max_output_bytes: 200_000 }), 'CHAINS[0].max_output_bytes: must be a whole'],
    [
      'an unknown form',
      one({ string_output: 'perl' }),
      'CHAINS[0].string_output: must be "json" or "python"',
    ],
    ['a small bump', one({ gas: { bump_percent: 12 } }), 'CHAINS[0].gas.bump_percent: must be at least 12.5'],
    [
      'less than a wei',
      one({ gas: { max_fee_gwei: 1e-10 } }),
      'CHAINS[0].gas.max_fee_gwei: must be a number',
    ],
    ['negative gwei', one({ gas: { max_fee_gwei: '-1' } }), 'CHAINS[0].gas.max_fee_gwei: must be a number'],
    [
      'much gwei',
      one({ gas: { max_fee_gwei: 2e9 } }),
      'CHAINS[0].gas.max_fee_gwei: must be at most 1000000000',
    ],
    [
      'a part that is more than the whole',
      one({ gas: { max_fee_gwei: 1, min_priority_fee_gwei: 2 } }),
      'CHAINS[0].gas.min_priority_fee_gwei: must not be more than max_fee_gwei',
    ],
    [
      'one id twice',
      envOf([
        { id: 1, registry },
        { id: 1, registry },
      ]),
      'CHAINS[1].id: is that of CHAINS[0] too',
    ],
    ['no URLs', { ...one(), CHAIN_1_RPC_URLS: undefined }, 'CHAIN_1_RPC_URLS: is missing'],
    ['blank URLs', { ...one(), CHAIN_1_RPC_URLS: ' , ' }, 'CHAIN_1_RPC_URLS: has no URL in it'],
    [
      'a socket',
      { ...one(), CHAIN_1_RPC_URLS: 'http://a wss://b' },
      'CHAIN_1_RPC_URLS: URL 2 does not begin',
    ],
    ['no URL', { ...one(), CHAIN_1_RPC_URLS: 'localhost:8545' }, 'CHAIN_1_RPC_URLS: URL 1 does not begin'],
    ['a URL twice', { ...one(), CHAIN_1_RPC_URLS: 'http://a http://A/' }, 'CHAIN_1_RPC_URLS: URL 2 is URL 1'],
    [
      'nine URLs',
      { ...one(), CHAIN_1_RPC_URLS: Array.from({ length: 9 }, (_, n) => `http://host${n}`).join() },
      'CHAIN_1_RPC_URLS: must have at most 8 URLs',
    ],
    ['no key', { ...one(), CHAIN_1_PRIVATE_KEY: undefined }, 'CHAIN_1_PRIVATE_KEY: is missing'],
    ['a short key', { ...one(), CHAIN_1_PRIVATE_KEY: key.slice(1) }, 'CHAIN_1_PRIVATE_KEY: must be 64'],
    ['zero', { ...one(), CHAIN_1_PRIVATE_KEY: '0'.repeat(64) }, 'CHAIN_1_PRIVATE_KEY: is no private key'],
    [
      'too large',
      { ...one(), CHAIN_1_PRIVATE_KEY: 'f'.repeat(64) },
      'CHAIN_1_PRIVATE_KEY: is no private key',
    ],
  ])('behavior: %s', ([, env, problem]) => {
    expect(problemsOf(env)).toEqual([expect.stringContaining(problem)])
  })

  test('behavior: everything together, with the problems of other vars, and no value', () => {
    const env = {
      ...envOf([{ id: 1, registry: 's3cret', batch_size: 's3cret', other: 1 }, { id: 2 }], {
        CHAIN_1_RPC_URLS: 's3cret',
        CHAIN_1_PRIVATE_KEY: 's3cret',
      }),
      DATABASE_URL: 's3cret',
    }
    const problems = problemsOf(env, parseConfig)
    expect(problems.map(line => line.split(': ')[0])).toEqual([
      'DATABASE_URL',
      'ORIGIN',
      'CHAINS[0].registry',
      'CHAINS[0].batch_size',
      'CHAINS[0].other',
      'CHAIN_1_RPC_URLS',
      'CHAIN_1_PRIVATE_KEY',
      'CHAINS[1].registry',
      'CHAIN_2_RPC_URLS',
      'CHAIN_2_PRIVATE_KEY',
    ])
    expect(problems.join()).not.toContain('s3cret')
  })
})

test('behavior: the edge’s configuration has the chains in it', () => {
  const needed = { DATABASE_URL: 'http://127.0.0.1:8080', ORIGIN: 'https://edge.example' }
  expect(parseConfig({ ...needed, ...one() }).chains.map(({ config }) => config.id)).toEqual([1])
})

test('behavior: hosts know which secrets there are, and of what is wrong none', () => {
  expect(secretNames(JSON.stringify([{ id: 1 }, { id: 'x' }, { id: 10 }]))).toEqual([
    'CHAIN_1_RPC_URLS',
    'CHAIN_1_PRIVATE_KEY',
    'CHAIN_10_RPC_URLS',
    'CHAIN_10_PRIVATE_KEY',
  ])
  expect(secretNames('nonsense')).toEqual([])
  expect(secretNames(undefined)).toEqual([])
})

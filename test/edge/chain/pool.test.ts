import * as fc from 'fast-check'
import { toHex } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createRpcPool, type RpcPoolOptions } from '../../../src/edge/chain/pool.ts'
import { type Rpc, type RpcAnswer, type RpcCall, RpcUnavailable } from '../../../src/edge/chain/rpc.ts'
import { type Fault, type RpcProxy, startRpcProxy } from '../../support/rpc-proxy.ts'

/**
 * Three servers that answer as nodes of one chain do, and go wrong as they are told; a clock that moves when the pool waits. Of no deployment:
 * there are no contracts.
 */
let servers: RpcProxy[]
let clock = 0
let waits: number[] = []
const chainId = 7
const newest = 100

const answerOf = ({ method, params }: RpcCall): RpcAnswer => {
  if (method === 'eth_chainId') return { result: toHex(chainId) }
  if (method === 'eth_blockNumber') return { result: toHex(newest) }
  if (method === 'eth_getBlockByNumber')
    return { result: { number: params[0] === 'latest' ? toHex(newest) : params[0] } }
  if (method === 'eth_call') return { error: { code: 3, message: 'execution reverted', data: '0x12' } }
  return { result: params[0] }
}

beforeAll(async () => {
  servers = await Promise.all([1, 2, 3].map(() => startRpcProxy(answerOf)))
})
afterEach(() => {
  for (const server of servers) {
    server.setFault(undefined)
    server.setOverride(undefined)
    server.takeRequests()
  }
  waits = []
})
afterAll(async () => await Promise.all(servers.map(server => server.close())))

function createPool(count: number, options: Partial<RpcPoolOptions> = {}): Rpc {
  return createRpcPool({
    urls: servers.slice(0, count).map(({ url }) => `${url}/s3cret`),
    chainId,
    now: () => clock,
    random: () => 1,
    timeoutMs: 1_000,
    sleep: async ms => {
      waits.push(ms)
      clock += ms
    },
    ...options,
  })
}

const echo = (value: unknown): RpcCall => ({ method: 'echo', params: [value] })
const echoes = (count: number) => Array.from({ length: count }, (_, index) => echo(index))
const resultsOf = (answers: readonly RpcAnswer[]) => answers.map(({ result }) => result)
const taken = () => servers.map(server => server.takeRequests().map(({ calls }) => calls.length))
const failWith = (index: number, fault: Fault | null) => servers[index]!.setFault(() => fault)
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)

describe('requests', () => {
  test('default: one for a send; the first asks for the chain too, and a call alone is no batch', async () => {
    const pool = createPool(2)
    expect(await pool.send(echoes(3))).toEqual([{ result: 0 }, { result: 1 }, { result: 2 }])
    expect(await pool.send([echo('a')])).toEqual([{ result: 'a' }])
    expect(taken()).toEqual([[4, 1], [], []])
    expect(await pool.send([])).toEqual([])
    expect(taken()).toEqual([[], [], []])
  })

  test('behavior: many calls, and long ones, come in several batches, and are answered in their order', async () => {
    const pool = createPool(1)
    await pool.send([echo(0)])
    taken()
    expect(resultsOf(await pool.send(echoes(120)))).toEqual(numbers(120))
    expect(taken()[0]?.toSorted()).toEqual([24, 48, 48])
    const long = [1, 2, 3].map(digit => String(digit).repeat(100_000))
    expect(resultsOf(await pool.send(long.map(echo)))).toEqual(long)
    expect(taken()[0]?.toSorted()).toEqual([1, 2])
    const longest = 'x'.repeat(300_000)
    expect(resultsOf(await pool.send([echo(1), echo(longest), echo(2)]))).toEqual([1, longest, 2])
    expect(taken()[0]).toEqual([1, 1, 1])
  })

  test('behavior: four batches at once, at most', async () => {
    let open = 0
    let most = 0
    const counting: typeof fetch = async (input, init) => {
      open += 1
      most = Math.max(most, open)
      const response = await fetch(input, init)
      const text = await response.text()
      open -= 1
      return new Response(text)
    }
    const pool = createPool(1, { fetch: counting })
    expect(resultsOf(await pool.send(echoes(480)))).toEqual(numbers(480))
    expect(most).toBe(4)
  })

  test('behavior: answers in any order are right', async () => {
    failWith(0, { kind: 'reordered' })
    expect(resultsOf(await createPool(1).send(echoes(5)))).toEqual(numbers(5))
  })

  test('behavior: what the chain refuses is an answer', async () => {
    const pool = createPool(2)
    expect(await pool.send([echo(1), { method: 'eth_call', params: [] }])).toEqual([
      { result: 1 },
      { error: { code: 3, message: 'execution reverted', data: '0x12' } },
    ])
    expect(taken()).toEqual([[3], [], []])
  })

  test('behavior: credentials of a URL are sent as such', async () => {
    let sent: RequestInit | undefined
    let to = ''
    const pool = createRpcPool({
      urls: ['http://us%40er:pass%@node.test/v1'],
      chainId,
      now: () => clock,
      fetch: async (input, init) => {
        to = String(input)
        sent = init
        const [{ id }, asked] = JSON.parse(String(init?.body)) as [{ id: number }, { id: number }]
        return Response.json([
          { id, result: 1 },
          { id: asked.id, result: toHex(chainId) },
        ])
      },
    })
    expect(await pool.send([echo(1)])).toEqual([{ result: 1 }])
    expect(to).toBe('http://node.test/v1')
    expect(sent).toMatchObject({
      redirect: 'manual',
      headers: { authorization: `Basic ${btoa('us@er:pass%')}` },
    })
    expect(pool.status()[0]?.name).toBe('node.test')
  })
})

/** Each keeps an endpoint from answering a batch. */
const faults: readonly (readonly [Fault, string])[] = [
  [{ kind: 'rate' }, 'answers HTTP 429'],
  [{ kind: 'status', status: 500 }, 'answers HTTP 500'],
  [{ kind: 'status', status: 302 }, 'answers HTTP 302'],
  [{ kind: 'status', status: 400 }, 'answers HTTP 400'],
  [{ kind: 'hang' }, 'is silent for 1000 ms'],
  [{ kind: 'reset' }, 'is not reached, or breaks off'],
  [{ kind: 'broken' }, 'is not reached, or breaks off'],
  [{ kind: 'cut' }, 'answers with something that is not JSON'],
  [{ kind: 'missing' }, 'does not answer everything'],
  [{ kind: 'twice' }, 'answers what was not asked'],
  [{ kind: 'ids' }, 'answers what was not asked'],
  [{ kind: 'empty' }, 'gives neither a result nor an error'],
  [{ kind: 'huge' }, 'answers with more than 16 MiB'],
  [{ kind: 'chain', id: 5 }, 'is on chain 5, not on 7'],
  [{ kind: 'error', code: -32_010, message: 'no s3cret plan' }, 'refuses echo (-32010)'],
  [{ kind: 'error', code: 3, message: 'execution reverted' }, 'refuses echo (3)'],
  [{ kind: 'error', code: -32_005, message: 'daily s3cret count' }, 'limits our rate (-32005)'],
  [{ kind: 'error', code: -32_603, message: 'oops' }, 'has an internal error (-32603)'],
  [{ kind: 'error', code: -32_000, message: 'header not found' }, 'has not got the block (-32000)'],
  [{ kind: 'error', code: -32_000, message: 'missing trie node ab' }, 'has no state of the block (-32000)'],
]

describe('an endpoint that does not answer', () => {
  test.for(faults)('behavior: %o is passed by, and seen in the status', async ([fault, problem]) => {
    const pool = createPool(2)
    failWith(0, fault)
    expect(resultsOf(await pool.send(echoes(3)))).toEqual([0, 1, 2])
    expect(pool.status()).toMatchObject([
      { penalty: 1, problem },
      { penalty: 0, problem: null },
    ])
    taken()
    failWith(0, null)
    expect(resultsOf(await pool.send(echoes(2)))).toEqual([0, 1])
    // It rests, and then is not as good as the other for a while.
    expect(taken()).toEqual([[], [2], []])
  })

  test.for(faults)('behavior: %o of all, and it is said why, without a URL', async ([fault, problem]) => {
    const pool = createPool(2)
    failWith(0, fault)
    failWith(1, fault)
    const error = await pool.send(echoes(3)).then(
      () => null,
      (error: unknown) => error,
    )
    expect(error).toBeInstanceOf(RpcUnavailable)
    const [one, two] = servers.map(({ url }) => new URL(url).host)
    expect(String(error)).toBe(
      `RpcUnavailable: No endpoint of chain 7 answers: ${one} ${problem}; ${two} ${problem}`,
    )
  })

  test('behavior: a short rest is waited for, with no other endpoint', async () => {
    const pool = createPool(1)
    const faults: Fault[] = [{ kind: 'reset' }, { kind: 'cut' }]
    servers[0]!.setFault(() => faults.shift() ?? null)
    expect(resultsOf(await pool.send(echoes(2)))).toEqual([0, 1])
    expect(waits).toEqual([500, 1_000])
  })

  test('behavior: it rests longer each time, up to half a minute, and is asked no more until then', async () => {
    const pool = createPool(1)
    const asked: number[] = []
    servers[0]!.setFault(() => {
      asked.push(clock)
      return { kind: 'cut' }
    })
    for (const end = clock + 180_000; clock < end; clock += 500)
      await expect(pool.send([echo(1)])).rejects.toThrow(RpcUnavailable)
    const rests = asked.slice(1).map((at, index) => at - asked[index]!)
    expect(rests).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, ...rests.slice(6).map(() => 30_000)])
    expect(rests.length).toBeGreaterThan(9)
  })

  test.for([
    ['5', 5_000],
    ['100000', 600_000],
    [() => new Date(clock + 7_000).toUTCString(), 6_500],
  ] as const)('behavior: Retry-After %s is kept to', async ([header, ms]) => {
    clock = Math.ceil(clock / 1000) * 1000
    const pool = createPool(1)
    const retryAfter = typeof header === 'string' ? header : header()
    failWith(0, { kind: 'rate', retryAfter })
    await expect(pool.send([echo(1)])).rejects.toThrow('answers HTTP 429')
    failWith(0, null)
    taken()
    clock += ms - 2_100
    await expect(pool.send([echo(1)])).rejects.toThrow('answers HTTP 429')
    expect(await pool.sendToAll([echo(1)])).toEqual([])
    expect(taken()).toEqual([[], [], []])
    clock += 2_600
    expect(await pool.send([echo(1)])).toEqual([{ result: 1 }])
  })

  test('behavior: what goes wrong together counts once', async () => {
    const pool = createPool(2)
    failWith(0, { kind: 'status', status: 503 })
    await pool.send(echoes(190))
    expect(pool.status()[0]?.penalty).toBe(1)
    clock += 30_000
    expect(pool.status()[0]?.penalty).toBe(0.5)
    clock += 3_600_000
    expect(pool.status()[0]?.penalty).toBe(0)
    failWith(0, null)
    taken()
    await pool.send(echoes(2))
    expect(taken()).toEqual([[3], [], []])
    expect(pool.status()[0]?.problem).toBeNull()
  })
})

describe('an answer that is not believed', () => {
  const believed = (value: string): RpcCall => ({
    ...echo(value),
    doubt: result => (result === value ? null : 'is another'),
  })
  const calls = ['a', 'b', 'c'].map(believed)
  const doubted = { error: { code: 0, message: 'is another', isUnclear: true } }
  /** Of these it says something else. */
  const wrong = (index: number, ...values: string[]) =>
    servers[index]!.setOverride(({ params }) => (values.includes(String(params[0])) ? { result: 'x' } : null))

  test('default: is as another endpoint tells, whatever that is not believed about', async () => {
    wrong(0, 'a')
    wrong(1, 'b', 'c')
    expect(resultsOf(await createPool(2).send(calls))).toEqual(['a', 'b', 'c'])
  })

  test('behavior: nobody else is asked once all are', async () => {
    wrong(0, 'a')
    wrong(1, 'b')
    expect(resultsOf(await createPool(3).send(calls))).toEqual(['a', 'b', 'c'])
    expect(taken()[2]).toEqual([])
  })

  test('behavior: is not as one that is behind tells: the next one is asked', async () => {
    const fresh = (value: string): RpcCall => ({
      ...echo(value),
      doubt: result => (result === 'x' ? 'is another' : null),
    })
    const pool = createPool(3)
    pool.noteHead(newest)
    failWith(1, { kind: 'stale', blocks: 3 })
    wrong(0, 'b')
    servers[1]!.setOverride(({ params: [asked] }) =>
      asked === 'a' || asked === 'b' ? { result: asked === 'a' ? 'x' : 'stale' } : null,
    )
    expect(resultsOf(await pool.send([fresh('a'), fresh('b')]))).toEqual(['a', 'b'])
  })

  test('behavior: where each is, it is not known; the others are', async () => {
    wrong(0, 'a', 'b')
    wrong(1, 'b', 'c')
    expect(await createPool(2).send(calls)).toEqual([{ result: 'a' }, doubted, { result: 'c' }])
  })
})

describe('another chain', () => {
  test('default: such an endpoint is left alone for ten minutes', async () => {
    const pool = createPool(2)
    failWith(0, { kind: 'chain', id: 5 })
    await pool.send([echo(1)])
    clock += 9 * 60_000
    taken()
    await pool.send([echo(1)])
    expect(await pool.sendToAll([echo(1)])).toEqual([[{ result: 1 }]])
    expect(taken()).toEqual([[], [1, 1], []])
    failWith(0, null)
    clock += 60_000
    await pool.send([echo(1)])
    expect(taken()).toEqual([[2], [], []])
  })

  test('behavior: each is asked again every ten minutes', async () => {
    const pool = createPool(2)
    await pool.send([echo(1)])
    clock += 10 * 60_000
    failWith(0, { kind: 'chain', id: 5 })
    expect(await pool.send([echo(1)])).toEqual([{ result: 1 }])
    expect(pool.status()[0]?.problem).toBe('is on chain 5, not on 7')
  })

  test('behavior: if all are, they are asked again at once', async () => {
    const pool = createPool(1)
    failWith(0, { kind: 'chain', id: 5 })
    await expect(pool.send([echo(1)])).rejects.toThrow('is on chain 5, not on 7')
    failWith(0, null)
    clock += 30_000
    expect(await pool.send([echo(1)])).toEqual([{ result: 1 }])
  })
})

describe('an endpoint that takes no batches', () => {
  test.for<Fault>([{ kind: 'object' }, { kind: 'status', status: 400 }, { kind: 'status', status: 501 }])(
    'behavior: %o: it is asked one by one, and remembered',
    async fault => {
      const pool = createPool(2)
      servers[0]!.setFault(({ calls }) => (calls.length > 1 ? fault : null))
      expect(resultsOf(await pool.send(echoes(20)))).toEqual(numbers(20))
      expect(taken()).toEqual([[21, ...Array(21).fill(1)], [], []])
      expect(resultsOf(await pool.send(echoes(3)))).toEqual([0, 1, 2])
      expect(taken()).toEqual([[1, 1, 1], [], []])
      expect(pool.status()[0]?.problem).toBeNull()
    },
  )

  test('behavior: one that says something of our rate in place of a list is not asked more', async () => {
    const pool = createPool(2)
    servers[0]!.setFault(() => ({ kind: 'object' }))
    const limited = await startRpcProxy(() => ({ error: { code: -32_005, message: 'slowly' } }), {
      fault: () => ({ kind: 'object' }),
    })
    const both = createPool(0, { urls: [limited.url, servers[1]!.url] })
    expect(resultsOf(await both.send(echoes(3)))).toEqual([0, 1, 2])
    expect(limited.takeRequests()).toHaveLength(1)
    expect(pool.status()[0]?.problem).toBeNull()
    await limited.close()
  })
})

describe('an endpoint that is behind', () => {
  const head: RpcCall = { method: 'eth_blockNumber', params: [] }
  const block: RpcCall = { method: 'eth_getBlockByNumber', params: ['latest', false] }

  test.for([head, block])('default: of two, the one that is further answers', async call => {
    const pool = createPool(2)
    failWith(0, { kind: 'stale', blocks: 3 })
    pool.noteHead(newest)
    const [answer] = await pool.send([call])
    expect(JSON.stringify(answer?.result)).toContain(toHex(newest))
    expect(pool.status()).toMatchObject([
      { head: newest - 3, penalty: 3, problem: 'is 3 blocks behind' },
      { head: newest, penalty: 0, problem: null },
    ])
  })

  test('behavior: it is passed over, then asked for its head with the rest, until it has caught up', async () => {
    const pool = createPool(2)
    failWith(0, { kind: 'stale', blocks: 3 })
    await pool.send([head])
    pool.noteHead(newest)
    expect(await pool.send([head])).toEqual([{ result: toHex(newest) }])
    taken()
    expect(await pool.send([echo(1)])).toEqual([{ result: 1 }])
    expect(taken()).toEqual([[], [1], []])
    clock += 10_000
    expect(await pool.send([echo(1)])).toEqual([{ result: 1 }])
    expect(taken()).toEqual([[2], [1], []])
    failWith(0, null)
    clock += 10_000
    expect(await pool.send([echo(1)])).toEqual([{ result: 1 }])
    expect(taken()).toEqual([[2], [], []])
    expect(await pool.send([echo(1)])).toEqual([{ result: 1 }])
    expect(taken()).toEqual([[1], [], []])
  })

  test('behavior: if all are, the one that is the least answers', async () => {
    const pool = createPool(3)
    failWith(0, { kind: 'stale', blocks: 5 })
    failWith(1, { kind: 'stale', blocks: 2 })
    failWith(2, { kind: 'reset' })
    pool.noteHead(newest + 1)
    expect(await pool.send([head])).toEqual([{ result: toHex(newest - 2) }])
    expect(waits).toEqual([])
    taken()
    await pool.send([head])
    expect(taken()[1]).toEqual([1])
  })
})

test('behavior: one that told too high a head once does not make the others lag for ever', async () => {
  const pool = createPool(2)
  failWith(0, { kind: 'stale', blocks: -1_000 })
  await pool.send([{ method: 'eth_blockNumber', params: [] }])
  failWith(0, null)
  pool.noteHead(newest)
  failWith(0, { kind: 'reset' })
  await pool.send([{ method: 'eth_blockNumber', params: [] }])
  expect(pool.status()[1]).toMatchObject({ head: newest, penalty: 0, problem: null })
})

describe('what everybody is to know', () => {
  test('default: every endpoint is told, and those that fail are left out', async () => {
    const pool = createPool(3)
    failWith(1, { kind: 'reset' })
    expect(await pool.sendToAll([echo(1), { method: 'eth_call', params: [] }])).toEqual([
      [{ result: 1 }, { error: { code: 3, message: 'execution reverted', data: '0x12' } }],
      [{ result: 1 }, { error: { code: 3, message: 'execution reverted', data: '0x12' } }],
    ])
    expect(taken().map(requests => requests.length)).toEqual([1, 1, 1])
    expect(await pool.sendToAll([])).toEqual([])
  })

  test('behavior: one that is silent is not waited for, when another has taken it; it ends by itself', async () => {
    failWith(0, { kind: 'hang' })
    const [silent, sound] = servers.map(({ url }) => url) as [string, string]
    const urls = [...[1, 2, 3, 4, 5].map(path => `${silent}/${path}`), sound]
    const pool = createPool(0, { urls, timeoutMs: 2_000 })
    expect(await pool.sendToAll([echo(1)])).toEqual([[{ result: 1 }]])
    expect(new Set(pool.status().map(({ problem }) => problem))).toEqual(new Set([null]))
    await expect
      .poll(() => pool.status().map(({ problem }) => problem), { timeout: 10_000 })
      .toEqual([...Array(5).fill('is silent for 2000 ms'), null])
  })

  test('behavior: of several that refuse, all are heard; so is one that has it already', async () => {
    const pool = createPool(2, { timeoutMs: 2_000 })
    const raw: RpcCall = { method: 'eth_sendRawTransaction', params: ['0x'] }
    const answer = (message: string): RpcAnswer => ({ error: { code: -32_000, message } })
    failWith(0, { kind: 'hang' })
    servers[1]!.setOverride(({ method, params }) =>
      method === raw.method ? answer('already known') : answerOf({ method, params }),
    )
    expect(await pool.sendToAll([raw])).toEqual([[answer('already known')]])
    expect(pool.status()[0]?.problem).not.toBe('is silent for 2000 ms')
    servers[0]!.setFault(undefined)
    for (const [index, message] of ['intrinsic gas too low', 'transaction underpriced'].entries())
      servers[index]!.setOverride(({ method, params }) =>
        method === raw.method ? answer(message) : answerOf({ method, params }),
      )
    expect(await pool.sendToAll([raw])).toEqual([
      [answer('intrinsic gas too low')],
      [answer('transaction underpriced')],
    ])
  })

  test('behavior: one that is silent does not gather what it is told', async () => {
    failWith(0, { kind: 'hang' })
    const pool = createPool(2, { timeoutMs: 5_000 })
    for (let i = 0; i < 6; i++) await pool.sendToAll([echo(i)])
    expect(taken().map(requests => requests.length)).toEqual([4, 6, 0])
  })
})

test('default: with one endpoint that is sound, every send is answered right', {
  timeout: 120_000,
}, async () => {
  const kinds = faults.map(([fault]) => fault).filter(({ kind }) => kind !== 'hang' && kind !== 'huge')
  const faultOf = fc.constantFrom<Fault | null>(
    ...kinds,
    { kind: 'stale', blocks: 4 },
    { kind: 'object' },
    null,
  )
  const rounds = fc.array(
    fc.record({
      calls: fc.integer({ min: 1, max: 60 }),
      faults: fc.array(faultOf, { minLength: 1, maxLength: 4 }),
      passes: fc.constantFrom(0, 100, 1_000, 20_000, 700_000),
    }),
    { minLength: 1, maxLength: 6 },
  )
  const property = fc.asyncProperty(rounds, fc.nat(2), async (rounds, sound) => {
    const pool = createPool(3)
    pool.noteHead(newest)
    for (const { calls, faults, passes } of rounds) {
      for (const [index, server] of servers.entries())
        server.setFault(({ number }) => (index === sound ? null : (faults[number % faults.length] ?? null)))
      const answers = await pool.send([...echoes(calls), { method: 'eth_blockNumber', params: [] }])
      expect(resultsOf(answers)).toEqual([...numbers(calls), toHex(newest)])
      clock += passes
    }
  })
  await fc.assert(property, { numRuns: 60 })
})

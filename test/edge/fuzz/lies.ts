import { randomUUID } from 'node:crypto'
import * as fc from 'fast-check'
import { limits } from '../../../src/protocol/limits.ts'
import type { WireRequest } from './wire.ts'
import type { World } from './world.ts'

/** What a runner with a good key says that is not so, and what it may be told. */
export type Lie = {
  what: string
  request: WireRequest
  status: number
  /** What the answer must say, in the words of `toMatchObject`. */
  answer: unknown
}

type Lease = { id: string; attempt: number }

const stale = { code: 'conflict', error: 'The lease is not yours any more' }
const unknown = { code: 'conflict', error: 'Unknown instance: register again' }

/** Every kind of lie, told by the world's liar about its victims' jobs, its own, and those of nobody. */
export function lieOf(world: World): fc.Arbitrary<Lie> {
  const { liar, victim, victims, leases: own } = world
  const instance = liar.instance
  const attempt = fc.integer({ min: 1, max: 12 })
  const foreign: fc.Arbitrary<Lease> = fc.record({
    id: fc.oneof(fc.constantFrom(...victims.ids), fc.uuid()),
    attempt,
  })
  // The lease is there, under another number.
  const misnumbered: fc.Arbitrary<Lease> = fc
    .constantFrom(...own)
    .chain(({ id }) => fc.integer({ min: 2, max: 999_999_999 }).map(number => ({ id, attempt: number })))
  const notHeld = fc.oneof(foreign, misnumbered)
  const otherInstance = fc.oneof(fc.constant(victim.instance), fc.uuid())

  const post = (what: string, path: string, body: object, expected: Pick<Lie, 'status' | 'answer'>): Lie => ({
    what,
    request: {
      method: 'POST',
      target: path,
      headers: [['content-type', 'application/json']],
      body: Buffer.from(JSON.stringify(body)),
      framing: 'length',
    },
    ...expected,
  })
  const told = (answer: unknown) => ({ status: 200, answer })
  const conflict = (answer: object) => ({ status: 409, answer })
  const refused = { status: 400, answer: { code: 'invalid_request' } }
  const claimOf = (rest: object) => ({
    instance,
    seq: 1,
    routes: [],
    holding: own.map(leaseOf),
    max: 64,
    wait_ms: 0,
    ...rest,
  })
  const routes = fc.constantFrom(
    'victim',
    'victim,echo',
    'echo,victim',
    'nobody',
    '__proto__',
    '*',
    '%',
    'victim,victim',
    ',',
  )

  return fc.oneof(
    fc.array(fc.tuple(notHeld, payload), { minLength: 1, maxLength: 64 }).map(results => {
      const reports = results.map(([lease, rest]) => ({ ...lease, ...rest }))
      const answers = results.map(([lease]) => ({ ...lease, answer: 'stale' }))
      return post(
        'results that are not its own',
        '/runner/report',
        { instance, results: reports },
        told({ answers }),
      )
    }),
    fc.constantFrom(...own).chain(lease =>
      announced.map(result => {
        const report = { ...leaseOf(lease), status: 'success', error_code: null, result, intermediate: null }
        const answers = [{ ...leaseOf(lease), answer: 'stale' }]
        return post(
          'parts that it never sent',
          '/runner/report',
          { instance, results: [report] },
          told({ answers }),
        )
      }),
    ),
    fc.constantFrom(...own).chain(lease =>
      unsound.map(text => {
        const report = {
          ...leaseOf(lease),
          status: 'success',
          error_code: null,
          result: { text },
          intermediate: null,
        }
        return post('a result that is none', '/runner/report', { instance, results: [report] }, refused)
      }),
    ),
    fc
      .array(fc.record({ lease: notHeld, started: fc.boolean() }), {
        minLength: 1,
        maxLength: limits.holding,
      })
      .map(leases => {
        const named = leases.map(({ lease, started }) => ({ ...lease, started }))
        const lost = leases.map(({ lease }) => lease)
        return post(
          'leases that it beats for',
          '/runner/heartbeat',
          { instance, leases: named, containers: [] },
          told({ lost }),
        )
      }),
    fc.integer({ min: limits.holding + 1, max: 5_000 }).map(length => {
      const leases = Array.from({ length }, () => ({ id: victims.ids[1], attempt: 1, started: true }))
      return post('thousands of leases', '/runner/heartbeat', { instance, leases, containers: [] }, refused)
    }),
    fc.array(notHeld, { minLength: 1, maxLength: 32 }).map(holding => {
      const answer = { cancel: holding, mode: 'run', questions: [] }
      return post(
        'leases that it holds',
        '/runner/control',
        { instance, holding, mode: 'run', wait_ms: 25_000 },
        told(answer),
      )
    }),
    fc
      .tuple(fc.array(notHeld, { maxLength: 32 }), fc.uniqueArray(routes), fc.nat())
      .map(([lies, named, slots]) => {
        const holding = [...own.map(leaseOf), ...lies]
        const body = claimOf({ holding, seq: nextSeq(), routes: named.map(route => ({ route, slots })) })
        return post('containers that it never registered', '/runner/claim', body, told({ jobs: [] }))
      }),
    fc
      .tuple(otherInstance, fc.constantFrom(...victims.ids))
      .chain(([other, id]) =>
        fc.constantFrom(
          post(
            "another's instance, claiming",
            '/runner/claim',
            claimOf({ instance: other, seq: 1e9 }),
            conflict(unknown),
          ),
          post(
            "another's instance, beating",
            '/runner/heartbeat',
            { instance: other, leases: [{ ...leaseOf(own[0]!), started: true }], containers: [] },
            conflict(unknown),
          ),
          post(
            "another's instance, waiting",
            '/runner/control',
            { instance: other, holding: [{ id, attempt: 1 }], mode: 'run', wait_ms: 0 },
            conflict(unknown),
          ),
          post(
            "another's instance, answering",
            '/runner/answer',
            { instance: other, question: randomUUID(), answer: '{"echo":1}' },
            told({}),
          ),
        ),
      ),
    fc.constant(
      post(
        "another's instance, registering",
        '/runner/register',
        { instance: victim.instance, version: 'x', containers: [] },
        { status: 409, answer: { code: 'conflict' } },
      ),
    ),
    fc
      .tuple(notHeld, fc.nat(255), kind, fc.uint8Array({ minLength: 1, maxLength: 64 }))
      .map(([lease, seq, of, body]) => ({
        what: "parts of another's",
        request: part(lease, seq, of, body),
        ...conflict(stale),
      })),
    fc.tuple(fc.integer({ min: 256, max: 9_999 }), kind).map(([seq, of]) => ({
      what: 'parts beyond the last',
      request: part(own[0]!, seq, of, Buffer.from('x')),
      status: 413,
      answer: { code: 'body_too_large' },
    })),
    fc.constantFrom(0, limits.partBytes + 1, 2 * limits.partBytes).map(size => ({
      what: 'parts of no size, or too large',
      request: part(own[0]!, 0, 'result', new Uint8Array(size)),
      status: 413,
      answer: { code: 'body_too_large' },
    })),
    notHeld.map(({ id, attempt: number }) => ({
      what: 'inputs that it was not given',
      request: {
        method: 'GET',
        target: `/runner/jobs/${id}/input?attempt=${number}`,
        headers: [],
        body: nothing,
        framing: 'none' as const,
      },
      ...conflict(stale),
    })),
  )
}

const nothing = new Uint8Array(0)
const kind = fc.constantFrom('result', 'intermediate')

function leaseOf({ id, attempt }: Lease): Lease {
  return { id, attempt }
}

let seq = 1_000

/** Of a claim that is not overtaken. */
function nextSeq(): number {
  seq += 1
  return seq
}

function part({ id, attempt }: Lease, number: number, of: string, body: Uint8Array): WireRequest {
  const target = `/runner/jobs/${id}/result/${number}?attempt=${attempt}&kind=${of}`
  return { method: 'PUT', target, headers: [], body, framing: 'length' }
}

const announced = fc.record({
  parts: fc.integer({ min: 1, max: 2 ** 31 }),
  bytes: fc.nat(limits.resultBytes),
})
const text = fc.oneof(
  fc.constantFrom('{"container":"echo","output":1}', '{"container":"echo","error":"\\u0000\\ud800"}'),
  fc.json({ maxDepth: 3 }).map(json => `{"container":"x","output":${json}}`),
  fc.constant(`{"container":"echo","output":"${'x'.repeat(60_000)}"}`),
)
const payload = fc.record({
  status: fc.constantFrom('success', 'failed'),
  error_code: fc.constantFrom(null, 'lease_lost', 'cancelled', ''),
  result: fc.oneof(
    { weight: 3, arbitrary: text.map(json => ({ text: json })) },
    { weight: 1, arbitrary: announced },
  ),
  intermediate: fc.constantFrom(null, { text: '[]' }, { parts: 1, bytes: 1 }),
})
const unsound = fc.constantFrom(
  ...[
    '',
    '{',
    'null',
    '[]',
    '{"output":1}',
    '{"container":"x"}}',
    '{"container":"\ud800"}',
    '\ufeff{"container":"x"}',
  ],
  `{"container":"${'x'.repeat(70_000)}"}`,
)

import * as fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { policyOf, startTestRunner } from '../../support/runner.ts'
import { ask } from './ask.ts'
import { createForger } from './forge.ts'
import { requestFor } from './requests.ts'
import { runs, timeout } from './runs.ts'
import { startWorld } from './world.ts'

/** Tokens that are wrong in one thing, however well they are signed. */

const world = await startWorld()
afterAll(async () => await world[Symbol.asyncDispose]())

const { edge, victim, liar, victims, leases, operations } = world
const enrolled = await createForger(edge, { enrolled: true })
const stranger = await createForger(edge, { enrolled: false })
await world.keep()

const control = (authorization: string) => ({
  method: 'POST',
  target: '/runner/control',
  headers: [
    ['content-type', 'application/json'],
    ['authorization', authorization],
  ] as [string, string][],
  body: Buffer.from(JSON.stringify({ instance: liar.instance, holding: [], mode: 'run', wait_ms: 0 })),
  framing: 'length' as const,
})

type Fault = () => string
const { header, signed, hmac } = enrolled
const payload = (rest: object = {}) => ({ ...enrolled.payload(), ...rest })
const now = () => Math.floor(Date.now() / 1000)

const audience = fc.oneof(
  fc.webUrl(),
  fc.constantFrom(`${edge.url}/`, `${edge.url}.evil.example`, edge.url.toUpperCase(), '', '*', null, [], {}, [
    'https://other.example',
  ]),
)
const kid = fc.oneof(
  fc.constantFrom(
    victim.id,
    stranger.id,
    '',
    null,
    1,
    {},
    [],
    '__proto__',
    'constructor',
    `${enrolled.id}\0`,
  ),
  fc.string(),
)
const algorithm = fc.constantFrom('none', 'None', 'HS256', 'ES256', 'RS256', 'eddsa', '', null, 1, 'Ed448')

const fault: fc.Arbitrary<Fault> = fc.oneof(
  audience.map(aud => () => signed(header, payload({ aud }))),
  kid.map(kid => () => signed({ ...header, kid }, payload())),
  kid.map(iss => () => signed(header, payload({ iss }))),
  kid.map(id => () => signed({ ...header, kid: id }, payload({ iss: id }))),
  algorithm.map(alg => () => signed({ ...header, alg }, payload())),
  algorithm.map(alg => () => hmac({ ...header, alg }, payload())),
  fc
    .constantFrom('iss', 'aud', 'iat', 'exp')
    .map(claim => () => signed(header, payload({ [claim]: undefined }))),
  fc.integer({ min: 61, max: 1e12 }).map(seconds => () => signed(header, payload({ exp: now() + seconds }))),
  fc
    .integer({ min: 12, max: 1e9 })
    .map(seconds => () => signed(header, payload({ iat: now() + seconds, exp: now() + seconds + 60 }))),
  fc
    .integer({ min: 71, max: 1e9 })
    .map(seconds => () => signed(header, payload({ iat: now() - seconds, exp: now() - seconds + 60 }))),
  fc.constantFrom('60', null, {}, Number.MAX_VALUE, -1, 0).map(exp => () => signed(header, payload({ exp }))),
  fc.constantFrom('0', null, {}, -1e300).map(iat => () => signed(header, payload({ iat }))),
  fc.integer({ min: 12, max: 1e9 }).map(seconds => () => signed(header, payload({ nbf: now() + seconds }))),
  fc.constant(() => signed({ ...header, crit: ['x'], x: 1 }, payload())),
  fc.constant(() => stranger.signed(header, payload())),
  fc.constant(() =>
    stranger.signed({ ...stranger.header, jku: 'http://evil.example/keys' }, stranger.payload()),
  ),
  fc.nat().map(at => () => tamper(signed(header, payload()), at)),
  fc.nat().map(length => () => cut(signed(header, payload()), length)),
  fc.constant(() => `${signed(header, payload())}.x`),
  fc.constant(() => signed(header, payload()).split('.').slice(0, 2).join('.')),
)

/** Another character somewhere, in bits that count: of a part's last one some do not. */
function tamper(token: string, at: number): string {
  const place = at % token.length
  const end = token.indexOf('.', place + 1)
  if (token[place] === '.' || place + 1 === (end < 0 ? token.length : end)) return `x${token}`
  return `${token.slice(0, place)}${token[place] === 'A' ? 'B' : 'A'}${token.slice(place + 1)}`
}

function cut(token: string, length: number): string {
  return token.slice(0, length % (token.length - 1))
}

describe('tokens', () => {
  test('default: a good one is known, by what it says and by who signed it', async () => {
    const { response } = await ask(world, control(`Bearer ${signed(header, payload())}`), {
      authorized: true,
    })
    // The instance is another runner's, and that is all that is wrong.
    expect(response.status).toBe(409)
  })

  test('behavior: whatever is wrong with a token, the answer is the same', { timeout }, async () => {
    const { response: expected } = await ask(world, control('Bearer x'))
    await fc.assert(
      fc.asyncProperty(fault, async forge => {
        const { response, statements } = await ask(world, control(`Bearer ${forge()}`))
        expect({ status: response.status, text: response.text }).toEqual({ status: 401, text: expected.text })
        expect(statements).toBeLessThanOrEqual(8)
      }),
      runs(150),
    )
  })
})

describe('a runner that was revoked', () => {
  test('default: is answered by no route', { timeout }, async () => {
    const revoked = await startTestRunner(edge, [policyOf('echo')])
    await world.db.orm.run(`update runners set revoked_at = 1 where id = '${revoked.id}'`)
    await world.keep()
    const pool = {
      instance: revoked.instance,
      uuids: [revoked.instance, leases[0]!.id, victims.ids[0]!],
      pathIds: [revoked.id],
      containers: ['echo'],
      addresses: ['203.0.113.7'],
    }
    const secured = operations.filter(({ secured }) => secured !== null)
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...secured).chain(operation => requestFor(operation, pool, fc.constant(null))),
        async draft => {
          const authorization = ['authorization', `Bearer ${await revoked.token()}`] as const
          const { response } = await ask(world, { ...draft, headers: [...draft.headers, authorization] })
          expect(response.status).toBeGreaterThanOrEqual(400)
        },
      ),
      runs(200),
    )
  })
})

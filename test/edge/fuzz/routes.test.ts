import * as fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { createApp } from '../../../src/edge/app.ts'
import { parseConfig } from '../../../src/edge/config.ts'
import type { Context } from '../../../src/edge/context.ts'
import { ask } from './ask.ts'
import { operationFor } from './document.ts'
import { garbageToken, hostileHeaders, hostileSegment, requestFor } from './requests.ts'
import { runs, timeout } from './runs.ts'
import type { Pool } from './values.ts'
import { startWorld } from './world.ts'

/** Whatever strangers send to any route: an answer that the request earned, or a refusal that leaves nothing behind. */

const world = await startWorld()
await world.silence()
afterAll(async () => await world[Symbol.asyncDispose]())

const { edge, victims, victim, liar, leases, addresses, operations } = world
/** One of their own, to be read and cancelled. */
const own = await edge.createJob({ containers: ['echo'], data: {} }, { ip: addresses.stranger })
await world.keep()

const pool: Pool = {
  instance: liar.instance,
  uuids: [...victims.ids, ...leases.map(({ id }) => id), liar.instance, victim.instance],
  pathIds: [own, own, victim.id, liar.id, victims.ids[0]!.toUpperCase(), `${victims.ids[0]}%00`],
  containers: ['echo', 'echo', 'echo', 'echo', 'victim', 'nobody'],
  addresses: [
    ...[addresses.stranger, '2001:db8::1', '::ffff:203.0.113.7', 'fe80::1%eth0', '1', '0x7f.1'],
    '1.2.3.4, 203.0.113.7',
  ],
}
const named = operations.map(operation => [`${operation.method} ${operation.path}`, operation] as const)
const reached = new Set<string>()

describe('strangers', () => {
  test.for(named)(
    'behavior: %s refuses what it must and leaves nothing behind',
    { timeout },
    async ([name, operation]) => {
      const authorization = fc.option(garbageToken, { freq: 3 })
      await fc.assert(
        fc.asyncProperty(requestFor(operation, pool, authorization), async request => {
          await ask(world, request)
          if (operationFor(operations, request) === operation) reached.add(name)
        }),
        runs(25),
      )
    },
  )

  test('behavior: other methods and other paths are told so, as any refusal is', { timeout }, async () => {
    const path = fc.oneof(
      fc.constantFrom(...operations.map(operation => operation.path)),
      fc.array(hostileSegment, { minLength: 1, maxLength: 6 }).map(segments => `/${segments.join('/')}`),
      fc
        .tuple(fc.constantFrom('/api/', '/admin/', '/runner/', '/'), hostileSegment)
        .map(([folder, name]) => folder + name),
    )
    const method = fc.constantFrom(
      'GET',
      'HEAD',
      'POST',
      'PUT',
      'PATCH',
      'DELETE',
      'OPTIONS',
      'TRACE',
      'PROPFIND',
    )
    await fc.assert(
      fc.asyncProperty(method, path, hostileHeaders(pool), async (method, target, headers) => {
        const { response } = await ask(world, {
          method,
          target,
          headers,
          body: new Uint8Array(0),
          framing: 'length',
        })
        if (response.status === 405) expect(response.headers.get('allow')).toMatch(/^[A-Z]+(, [A-Z]+)*$/)
      }),
      runs(100),
    )
  })
})

describe('coverage', () => {
  test('default: every route was asked', () => {
    expect([...reached].toSorted()).toEqual(named.map(([name]) => name).toSorted())
  })

  test('behavior: every route of the app is in the document that all of this goes by', () => {
    const vars = { DATABASE_URL: 'http://127.0.0.1:1', ORIGIN: 'http://edge' }
    const app = createApp({ config: parseConfig(vars) } as Context)
    const routes = app.routes
      .filter(({ method, path }) => method !== 'ALL' && path !== '/openapi.json')
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
    expect([...new Set(routes)].toSorted()).toEqual(named.map(([name]) => name).toSorted())
  })
})

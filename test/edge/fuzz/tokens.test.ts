import * as fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { adminToken } from '../../support/edge.ts'
import { policyOf, startTestRunner } from '../../support/runner.ts'
import { ask } from './ask.ts'
import { requestFor } from './requests.ts'
import { runs, timeout } from './runs.ts'
import type { Pool } from './values.ts'
import { startWorld } from './world.ts'

/** The same from those who may: a good token opens the door, and makes nothing right that is wrong. */

const world = await startWorld()
afterAll(async () => await world[Symbol.asyncDispose]())

const { edge, victims, victim, liar, leases, addresses, operations } = world
/** What the operator may do to a runner is done to this one. */
const scrap = await startTestRunner(edge, [policyOf('echo')])
await world.keep()

const pool: Pool = {
  instance: liar.instance,
  uuids: [liar.instance, liar.instance, ...leases.map(({ id }) => id), victim.instance, ...victims.ids],
  pathIds: [scrap.id, scrap.id, scrap.id, scrap.id.toLowerCase(), `${scrap.id}%00`],
  containers: ['echo', 'echo', 'other', 'constructor'],
  addresses: [addresses.stranger],
}

/** Tokens live for a minute, and long runs for longer. */
async function tokenFor(secured: 'runner' | 'admin'): Promise<string> {
  return secured === 'admin' ? adminToken : await liar.token()
}

describe('the authorized', () => {
  const secured = operations.flatMap(operation =>
    operation.secured
      ? [[`${operation.method} ${operation.path}`, operation, operation.secured] as const]
      : [],
  )

  let asked = 0
  let answered = 0

  test.for(secured)(
    'behavior: %s takes what it documents and refuses the rest',
    { timeout },
    async ([, operation, by]) => {
      await fc.assert(
        fc.asyncProperty(requestFor(operation, pool, fc.constant(null)), async draft => {
          const authorization = ['authorization', `Bearer ${await tokenFor(by)}`] as const
          const request = { ...draft, headers: [...draft.headers, authorization] }
          const { response } = await ask(world, request, { authorized: true })
          asked += 1
          if (response.status < 300) answered += 1
        }),
        runs(40),
      )
    },
  )

  test('behavior: enough of it is right to get past the first check', () => {
    expect(answered).toBeGreaterThan(asked / 10)
  })
})

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

const pool: Pool = {
  uuids: [liar.instance, liar.instance, ...leases.map(({ id }) => id), victim.instance, ...victims.ids],
  pathIds: [scrap.id, scrap.id.toLowerCase(), `${scrap.id}%00`],
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

  test.for(secured)(
    'behavior: %s takes what it documents and refuses the rest',
    { timeout },
    async ([, operation, by]) => {
      const statuses = new Set<number>()
      await fc.assert(
        fc.asyncProperty(requestFor(operation, pool, fc.constant(null)), async draft => {
          const authorization = ['authorization', `Bearer ${await tokenFor(by)}`] as const
          const request = { ...draft, headers: [...draft.headers, authorization] }
          const { response } = await ask(world, request, { authorized: true })
          statuses.add(response.status)
        }),
        runs(60),
      )
      expect([...statuses]).not.toEqual([401])
    },
  )
})

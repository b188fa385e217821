import { afterAll, describe, expect, test } from 'vitest'
import { limits } from '../../../src/protocol/limits.ts'
import { adminToken } from '../../support/edge.ts'
import { ask } from './ask.ts'
import { timeout } from './runs.ts'
import { startWorld } from './world.ts'

/** Bodies that are short to send and long to look at: an isolate has 128 MiB, and all of a node's requests share it. */

const world = await startWorld()
afterAll(async () => await world[Symbol.asyncDispose]())

const { edge, liar, operations, addresses } = world
const most = limits.runnerBodyBytes - 1_000
const many = (item: string, bytes = most) =>
  `[${`${item},`.repeat(Math.floor(bytes / (item.length + 1)) - 1)}${item}]`
/** Every list that a message has, full of what does not belong there. */
const lists = (item: string) =>
  `{"instance":"${liar.instance}","seq":1,"max":1,"wait_ms":0,"mode":"run","version":"x",${[
    ...['leases', 'holding', 'results', 'routes', 'containers'].map(
      key => `"${key}":${many(item, most / 5 - 100)}`,
    ),
  ].join(',')}}`

const bombs: [string, () => string][] = [
  ['an endless list of numbers', () => many('0')],
  ['an endless list of objects', () => many('{}')],
  ['lists in lists', () => '['.repeat(most)],
  ['objects in objects', () => '{"a":'.repeat(most / 5)],
  ['every list full of objects', () => lists('{}')],
  ['every list full of lists', () => lists('[]')],
  ['every list full of what is nearly right', () => lists('{"id":"x","attempt":1}')],
  [
    'a batch of jobs with too many containers',
    () => many(`{"data":{},"containers":${many('0', limits.fieldBytes - 100)}}`, 6_000_000),
  ],
  [
    'a batch of jobs with long names',
    () => many(`{"data":{},"containers":["${'x'.repeat(60_000)}"]}`, 6_000_000),
  ],
]
const bodied = operations.filter(({ method, body }) => method !== 'GET' && body !== null)

describe('bombs', () => {
  test.for(bombs)('behavior: %s is refused in no time, by every route', { timeout }, async ([, make]) => {
    const body = Buffer.from(make())
    for (const { method, path, secured } of bodied) {
      const token = secured === 'admin' ? adminToken : await liar.token()
      const request = {
        method,
        target: path.replace('{id}', '01890000-0000-7000-8000-000000000001'),
        headers: [
          ['content-type', 'application/json'],
          ['cf-connecting-ip', addresses.stranger],
          ...(secured ? [['authorization', `Bearer ${token}`] as const] : []),
        ] as [string, string][],
        body,
        framing: 'length' as const,
      }
      const bound = secured === 'admin' || path === '/api/status' ? limits.smallBodyBytes : limits.bodyBytes
      // What is too long is refused before it has come.
      if (body.byteLength > bound) continue
      const { response } = await ask(world, request, { authorized: secured !== null, maxStatements: 80 })
      if (!path.endsWith('batch')) expect(response.status, path).toBeGreaterThanOrEqual(400)
    }
    expect((await edge.request('/health')).status).toBe(200)
  })
})

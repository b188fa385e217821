import { randomUUID } from 'node:crypto'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { limits } from '../../../src/protocol/limits.ts'
import type { ClaimedJob, ReportedResult } from '../../../src/protocol/runner.ts'
import { startTestEdge, type TestEdge } from '../../support/edge.ts'
import { objectText, sized, space, valueText } from '../../support/json-text.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../../support/runner.ts'
import { runs, timeout } from './runs.ts'
import { exchange, piecesOf } from './wire.ts'

/** Any JSON text in, the same bytes at the container; any JSON text out, the same bytes at the client: by every door. */

const { partBytes, inlineBytes, jsonDepth } = limits
const client = '198.51.100.1'

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('echo')])
})
afterAll(async () => await edge[Symbol.asyncDispose]())

const sizes = fc.constantFrom(
  0,
  0,
  0,
  0,
  inlineBytes - 100,
  inlineBytes + 100,
  partBytes - 50,
  partBytes + 50,
  2 * partBytes,
)
const data = fc.tuple(objectText, sizes).map(([text, size]) => (size === 0 ? text : sized(text, size)))

/** What may stand beside `data`, and where: keys that look like it, and some that are it in all but one sense. */
const beside = fc.constantFrom(
  '"Data":{}',
  '"data ":{}',
  '"extra":{"data":{}}',
  '"":[{"data":1}]',
  '"dat\\u0061s":null',
)

/** The text of one job; `data` may be spelt as JSON allows. */
const jobText = fc
  .record({
    data,
    rest: fc.uniqueArray(beside, { maxLength: 3 }),
    gap: space,
    place: fc.nat(),
    key: fc.constantFrom('"data"', '"\\u0064ata"', '"d\\u0061t\\u0061"'),
  })
  .map(({ data, rest, gap, place, key }) => {
    const members = ['"containers":["echo"]', ...rest].toSpliced(
      place % (rest.length + 2),
      0,
      `${key}${gap}:${gap}${data}`,
    )
    return { data, text: `${gap}{${gap}${members.join(`${gap},${gap}`)}${gap}}${gap}` }
  })

const door = fc.constantFrom('post' as const, 'put' as const, 'batch' as const)

/** Sends a body cut anywhere, in chunks of HTTP. @returns the answer's text. */
async function send(method: string, target: string, body: string, cuts: readonly number[]): Promise<string> {
  const bytes = Buffer.from(body)
  const places = [0, ...cuts.map(cut => cut % bytes.length), bytes.length].toSorted((a, b) => a - b)
  const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end))
  const framed = chunks
    .filter(({ length }) => length > 0)
    .flatMap(chunk => [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')])
  const headers = [
    ['cf-connecting-ip', client],
    ['transfer-encoding', 'chunked'],
  ] as const
  const head = piecesOf({ method, target, headers, body: Buffer.alloc(0), framing: 'none' })
  const response = await exchange(edge.url, [...head, ...framed, Buffer.from('0\r\n\r\n')])
  expect(response?.status, response?.text).toBe(200)
  return response?.text ?? ''
}

async function takeAll(count: number): Promise<ClaimedJob[]> {
  const jobs: ClaimedJob[] = []
  while (jobs.length < count)
    jobs.push(
      ...(await runner.claim({
        max: 64,
        holding: jobs,
        routes: [{ route: 'echo', slots: 64 }],
        wait_ms: 5_000,
      })),
    )
  return jobs
}

async function inputOf({ id, attempt, data: inline }: ClaimedJob): Promise<string> {
  return inline ?? (await (await runner.send(`/runner/jobs/${id}/input?attempt=${attempt}`)).text())
}

describe('in', () => {
  test('default: by every door, cut anywhere, the same bytes arrive', { timeout }, async () => {
    const cuts = fc.array(fc.nat(), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(
        door,
        fc.array(jobText, { minLength: 1, maxLength: 4 }),
        cuts,
        async (by, texts, places) => {
          const sent = by === 'batch' ? texts : texts.slice(0, 1)
          const body = by === 'batch' ? `[${sent.map(({ text }) => text).join(',')}]` : sent[0]!.text
          const path = by === 'post' ? '' : by === 'put' ? `/${randomUUID()}` : '/batch'
          const answer = JSON.parse(
            await send(by === 'put' ? 'PUT' : 'POST', `/api/jobs${path}`, body, places),
          ) as { id: string } | { id: string }[]
          const jobs = new Map((await takeAll(sent.length)).map(job => [job.id, job]))
          for (const [index, { id }] of [answer].flat().entries())
            expect(await inputOf(jobs.get(id)!)).toBe(sent[index]!.data)
          await runner.report([...jobs.values()].map(job => success(job, '1')))
        },
      ),
      runs(40),
    )
  })

  test.for([0, 1])('behavior: as deep as the bound, and no deeper, in a list or not (%i)', async list => {
    const levels = jsonDepth - 2 - list
    for (const [open, close] of [
      ['[', ']'],
      ['{"1":', '}'],
    ] as const) {
      const nested = (depth: number) => `{"x":${open.repeat(depth)}0${close.repeat(depth)}}`
      const job = (depth: number) => `{"containers":["echo"],"data":${nested(depth)}}`
      const create = async (depth: number) =>
        await edge.create(list ? `[${job(depth)}]` : job(depth), {
          path: list ? '/api/jobs/batch' : '/api/jobs',
        })
      expect((await create(levels)).status).toBe(200)
      const jobs = await takeAll(1)
      expect(await inputOf(jobs[0]!)).toBe(nested(levels))
      await runner.report(jobs.map(claimed => success(claimed, '1')))
      expect((await create(levels + 1)).status).toBe(400)
    }
  })
})

describe('out', () => {
  const output = fc.tuple(valueText, sizes).map(([text, size]) => (size === 0 ? text : sized(text, size)))

  async function payloadOf(
    { id, attempt }: ClaimedJob,
    kind: string,
    text: string,
  ): Promise<ReportedResult['result']> {
    const bytes = Buffer.from(text)
    if (bytes.byteLength <= inlineBytes) return { text }
    const parts = Math.ceil(bytes.byteLength / partBytes)
    for (let seq = 0; seq < parts; seq += 1) {
      const path = `/runner/jobs/${id}/result/${seq}?attempt=${attempt}&kind=${kind}`
      const body = new Uint8Array(bytes.subarray(seq * partBytes, (seq + 1) * partBytes))
      expect((await runner.send(path, { method: 'PUT', body })).status).toBe(200)
    }
    return { parts, bytes: bytes.byteLength }
  }

  test('default: by every answer, the same bytes come back', { timeout }, async () => {
    await fc.assert(
      fc.asyncProperty(
        output,
        output,
        fc.constantFrom('output', 'error'),
        space,
        async (last, first, kind, gap) => {
          const id = randomUUID()
          const body = '{"containers":["echo"],"data":{}}'
          const waiting = send('PUT', `/api/jobs/${id}?wait=20`, body, [])
          const [job] = await takeAll(1)
          const result = `${gap}{"container"${gap}:"echo","${kind}":${last}}${gap}`
          const intermediate = `[${gap}{"container":"echo","output":${first}}${gap}]`
          const report = {
            ...success(job!, '1'),
            status: kind === 'error' ? ('failed' as const) : ('success' as const),
            result: await payloadOf(job!, 'result', result),
            intermediate: await payloadOf(job!, 'intermediate', intermediate),
          }
          expect(await runner.report([report])).toMatchObject([{ answer: 'accepted' }])
          const end = `"result":${result},"intermediate_results":${intermediate}}`
          const isWhole = (text: string) => text.startsWith(`{"id":"${id}",`) && text.endsWith(end)
          expect(isWhole(await waiting)).toBe(true)
          const read = async (path: string) => await (await edge.request(path, { ip: client })).text()
          expect(isWhole(await read(`/api/jobs/${id}`))).toBe(true)
          expect(isWhole(await send('PUT', `/api/jobs/${id}?wait=1`, body, []))).toBe(true)
          const status = kind === 'error' ? 'failed' : 'success'
          expect(await read(`/api/jobs?id=${id}`)).toBe(
            `[{"id":"${id}","status":"${status}","result":${result}}]`,
          )
          expect(await read(`/api/jobs?id=${id}&intermediate=true`)).toBe(
            `[{"id":"${id}","status":"${status}",${end}]`,
          )
        },
      ),
      runs(20),
    )
  })
})

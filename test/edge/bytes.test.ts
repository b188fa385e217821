import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { limits } from '../../src/protocol/limits.ts'
import type { ClaimedJob, ReportedResult } from '../../src/protocol/runner.ts'
import { startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'

/** What clients and containers say arrives byte for byte, whatever JSON it is and however large. */

const { partBytes } = limits

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('echo')])
})
afterAll(async () => await edge[Symbol.asyncDispose]())

// --- JSON texts of every kind that a parser and a printer would not give back as they were

const space = fc.constantFrom('', '', ' ', '\n\t', '\r\n  ')
const character = fc.constantFrom(
  ...['a', 'é', '日', '🦜', '\u2028', '\u007f', '\ufeff', '\uffff'],
  ...['\\n', '\\"', '\\\\', '\\/', '\\u00e9', '\\u0000', '\\uD83E\\uDD9C', '\\ud800', '\\u2028'],
)
const string = fc.array(character, { maxLength: 6 }).map(parts => `"${parts.join('')}"`)
const number = fc.constantFrom(
  ...['0', '-0', '1.0', '1e400', '-1E-7', '9007199254740993', '1.10', '0.1e+1'],
  ...[
    '115792089237316195423570985008687907853269984665640564039457584007913129639935',
    '123456789.1234567890123456789',
  ],
)
// Integer-like, repeated and magic keys: what parsing would reorder, drop or swallow.
const key = fc.oneof(fc.constantFrom('"2"', '"1"', '"a"', '"data"', '"__proto__"', '""'), string)

const { value } = fc.letrec<{ value: string; array: string; object: string }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    number,
    string,
    fc.constantFrom('true', 'false', 'null', '[]', '{}', '[ ]', '{\n}'),
    tie('array'),
    tie('object'),
  ),
  array: fc
    .tuple(space, fc.array(tie('value'), { maxLength: 4 }), space)
    .map(([a, items, b]) => `[${a}${items.join(`${b},${a}`)}]`),
  object: members(tie('value')),
}))

function members(of: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(space, fc.array(fc.tuple(key, of), { maxLength: 4 }), space)
    .map(
      ([a, entries, b]) =>
        `{${a}${entries.map(([name, entry]) => `${name}${b}:${a}${entry}`).join(`${b},${a}`)}${b}}`,
    )
}

const object = members(value)

/** An object text of about this many bytes. */
const sized = (text: string, size: number) => {
  const filler = '"\\u0041é🦜 ", 1.0,\n'
  const items = filler.repeat(Math.ceil(size / Buffer.byteLength(filler)))
  return `{"first": ${text}, "rest": [${items}null]}`
}

const sizes = fc.constantFrom(0, 0, 0, 65_000, 66_000, partBytes - 1_000, partBytes * 2 + 5)
const data = fc.tuple(object, sizes).map(([text, size]) => (size === 0 ? text : sized(text, size)))

async function inputOf(job: ClaimedJob): Promise<string> {
  if (job.data !== null) return job.data
  const response = await runner.send(`/runner/jobs/${job.id}/input?attempt=${job.attempt}`)
  expect(response.headers.get('content-type')).toBe('application/octet-stream')
  return await response.text()
}

/** All that is queued, in order; done with at once. */
async function takeAll(): Promise<ClaimedJob[]> {
  const jobs: ClaimedJob[] = []
  for (;;) {
    const claimed = await runner.claim({ max: 64, holding: jobs, routes: [{ route: 'echo', slots: 64 }] })
    if (claimed.length === 0) return jobs
    jobs.push(...claimed)
  }
}

const finish = async (jobs: ClaimedJob[]) => {
  if (jobs.length > 0) await runner.report(jobs.map(job => success(job, '1')))
}

describe('data', () => {
  test('default: arrives as it was sent, wherever it stands in the body', async () => {
    await fc.assert(
      fc.asyncProperty(data, space, fc.boolean(), async (text, gap, last) => {
        const fields = '"containers":["echo"]'
        const carried = `"data"${gap}:${gap}${text}${gap}`
        await edge.createJob(`${gap}{${last ? `${fields},${carried}` : `${carried},${fields}`}}${gap}`)
        const [job] = await takeAll()
        expect(job!.data_bytes).toBe(Buffer.byteLength(text))
        expect(await inputOf(job!)).toBe(text)
        await finish([job!])
      }),
      { numRuns: 40 },
    )
  })

  test('behavior: arrives as it was sent in a batch, large among small', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(data, { minLength: 1, maxLength: 8 }), space, async (texts, gap) => {
        const items = texts.map(text => `{"data":${text}${gap},${gap}"containers":["echo"]}`)
        const response = await edge.create(`[${gap}${items.join(`${gap},`)}${gap}]`, {
          path: '/api/jobs/batch',
        })
        const ids = ((await response.json()) as { id: string }[]).map(({ id }) => id)
        const jobs = new Map((await takeAll()).map(job => [job.id, job]))
        for (const [index, id] of ids.entries()) expect(await inputOf(jobs.get(id)!)).toBe(texts[index])
        await finish([...jobs.values()])
      }),
      { numRuns: 10 },
    )
  })

  test.for([65_535, 65_536, 65_537, partBytes - 1, partBytes, partBytes + 1, partBytes * 3])(
    'behavior: %i bytes exactly',
    async size => {
      const text = `{"x":"${'é'.repeat((size - 8) >> 1)}${'x'.repeat(size % 2)}"}`
      expect(Buffer.byteLength(text)).toBe(size)
      await edge.createJob(`{"containers":["echo"],"data":${text}}`)
      const [job] = await runner.claim({ max: 1 })
      expect(job!.data === null).toBe(size > 65_536)
      expect(await inputOf(job!)).toBe(text)
      await finish([job!])
    },
  )
})

describe('results', () => {
  /** Reports a payload inline when it fits, else in parts, as a runner does. */
  async function payloadOf(
    job: ClaimedJob,
    kind: 'result' | 'intermediate',
    text: string,
  ): Promise<ReportedResult['result']> {
    const bytes = Buffer.from(text)
    if (bytes.byteLength <= 65_536) return { text }
    const parts = Math.ceil(bytes.byteLength / partBytes)
    for (let seq = parts - 1; seq >= 0; seq -= 1) {
      const body = new Uint8Array(bytes.subarray(seq * partBytes, (seq + 1) * partBytes))
      const path = `/runner/jobs/${job.id}/result/${seq}?attempt=${job.attempt}&kind=${kind}`
      expect((await runner.send(path, { method: 'PUT', body })).status).toBe(200)
    }
    return { parts, bytes: bytes.byteLength }
  }

  test('default: come back as they were reported, by both routes', async () => {
    await fc.assert(
      fc.asyncProperty(data, data, async (output, before) => {
        const id = await edge.createJob({ containers: ['echo'], data: {} })
        const [job] = await takeAll()
        const result = `{"container": "echo", "output":${output}}`
        const intermediate = `[ {"container":"echo","output": ${before}} ]`
        const report = {
          ...success(job!, '1'),
          result: await payloadOf(job!, 'result', result),
          intermediate: await payloadOf(job!, 'intermediate', intermediate),
        }
        expect(await runner.report([report])).toMatchObject([{ answer: 'accepted' }])
        const listed = await edge.request(`/api/jobs?id=${id}&intermediate=true`)
        expect(await listed.text()).toBe(
          `[{"id":"${id}","status":"success","result":${result},"intermediate_results":${intermediate}}]`,
        )
        const full = await edge.request(`/api/jobs/${id}`)
        expect(await full.text()).toContain(`"result":${result},"intermediate_results":${intermediate}}`)
      }),
      { numRuns: 20 },
    )
  })

  test('behavior: a report that is not the JSON text of a result is refused, and takes nothing else with it', async () => {
    const ids = [
      await edge.createJob({ containers: ['echo'], data: {} }),
      await edge.createJob({ containers: ['echo'], data: {} }),
    ]
    const jobs = await takeAll()
    const wrong = [
      '',
      '{',
      '[]',
      '1',
      '{"output":1}',
      '{"container":"echo"}}',
      `{"container":"${'é'.repeat(40_000)}"}`,
      '{"container":"\ud800"}',
    ]
    for (const text of wrong) {
      const results = [success(jobs[0]!, '1'), { ...success(jobs[1]!, '1'), result: { text } }]
      const response = await runner.post('/runner/report', { instance: runner.instance, results })
      expect(response.status, text).toBe(400)
      expect(await response.json()).toMatchObject({ code: 'invalid_request', params: { id: ids[1] } })
    }
    const lying = { ...success(jobs[1]!, '1'), intermediate: { text: '{}' } }
    expect(
      (await runner.post('/runner/report', { instance: runner.instance, results: [lying] })).status,
    ).toBe(400)
    expect(await (await edge.request(`/api/jobs/${ids[0]}`)).json()).toMatchObject({ state: 'running' })
    await finish(jobs)
  })
})

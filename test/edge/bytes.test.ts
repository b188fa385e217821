import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { limits } from '../../src/protocol/limits.ts'
import type { ClaimedJob, ReportedResult } from '../../src/protocol/runner.ts'
import { startTestEdge, type TestEdge } from '../support/edge.ts'
import { objectText, sized, space } from '../support/json-text.ts'
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

const sizes = fc.constantFrom(0, 0, 0, 65_000, 66_000, partBytes - 1_000, partBytes * 2 + 5)
const data = fc.tuple(objectText, sizes).map(([text, size]) => (size === 0 ? text : sized(text, size)))

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

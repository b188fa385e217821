import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { limits } from '../../src/protocol/limits.ts'
import { sqlResponseBytes, startTestEdge, type TestEdge } from '../support/edge.ts'
import { host } from '../support/hosts.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'

const mebibyte = 1024 * 1024
const { partBytes } = limits

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('echo')])
})
afterAll(async () => await edge[Symbol.asyncDispose]())

// A database in the host's own process has no responses.
test.skipIf(host === 'node')('default: the database would refuse a SQL response above 4 MiB', async () => {
  const text = (bytes: number) => edge.db.orm.all(`select hex(zeroblob(${bytes / 2})) as x`)
  await expect(text(sqlResponseBytes + 2)).rejects.toMatchObject({ cause: { code: 'RESPONSE_TOO_LARGE' } })
  expect(await text(sqlResponseBytes - 65_536)).toHaveLength(1)
})

const digest = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex')

/** A JSON text of 16 MiB less a frame, unlike any other. */
function largeText(frame: (text: string) => string): string {
  return frame(randomBytes((15.9 * mebibyte) / 2).toString('hex'))
}

/** What the container answers: twice 8 MiB of its input, so that it is new but can be told. */
async function runOne(id: string, attempt: number): Promise<string> {
  const input = await (await runner.send(`/runner/jobs/${id}/input?attempt=${attempt}`)).text()
  const output = input.slice(10, input.length / 2)
  const text = `{"container":"echo","output":{"in":"${digest(input)}","out":"${output}${output}"}}`
  const bytes = Buffer.from(text)
  const parts = Math.ceil(bytes.byteLength / partBytes)
  for (let seq = 0; seq < parts; seq += 1) {
    const path = `/runner/jobs/${id}/result/${seq}?attempt=${attempt}&kind=result`
    const body = new Uint8Array(bytes.subarray(seq * partBytes, (seq + 1) * partBytes))
    expect((await runner.send(path, { method: 'PUT', body })).status).toBe(200)
  }
  const report = {
    ...success({ id, attempt, containers: ['echo'] } as never, '1'),
    result: { parts, bytes: bytes.byteLength },
  }
  expect(await runner.report([report])).toMatchObject([{ answer: 'accepted' }])
  return digest(text)
}

test('behavior: 16 MiB in and 16 MiB out, three at once, in SQL responses below 4 MiB', async () => {
  const inputs = [1, 2, 3].map(() => largeText(text => `{"x":"${text}"}`))
  const ids = await Promise.all(inputs.map(data => edge.createJob(`{"containers":["echo"],"data":${data}}`)))
  const jobs = await runner.claim({ max: 3 })
  expect(jobs.map(job => [job.data, job.data_bytes])).toEqual(inputs.map(data => [null, data.length]))
  const outputs = await Promise.all(jobs.map(({ id, attempt }) => runOne(id, attempt)))
  await Promise.all(
    ids.map(async (id, index) => {
      const text = await (await edge.request(`/api/jobs?id=${id}`)).text()
      const result = text.slice(`[{"id":"${id}","status":"success","result":`.length, -2)
      expect(digest(result)).toBe(outputs[jobs.findIndex(job => job.id === id)])
      expect(text).toContain(digest(inputs[index]!))
    }),
  )
}, 60_000)

test('behavior: many jobs of the largest inline size at once, in SQL responses below 4 MiB', async () => {
  const data = `{"x":"${'\\\\'.repeat(32 * 1024 - 8)}"}`
  const output = data.slice(0, -50) + data.slice(-2)
  const items = Array.from({ length: 60 }, () => `{"containers":["echo"],"data":${data}}`)
  const response = await edge.create(`[${items.join(',')}]`, { path: '/api/jobs/batch' })
  const ids = ((await response.json()) as { id: string }[]).map(({ id }) => id)
  for (let held = 0; held < ids.length; held += 15) {
    const jobs = await runner.claim({ max: 15, routes: [{ route: 'echo', slots: 64 }] })
    expect(jobs.map(job => job.data)).toEqual(jobs.map(() => data))
    await runner.report(jobs.map(job => success(job, output)))
  }
  const read = await edge.request(`/api/jobs?${ids.map(id => `id=${id}`).join('&')}`)
  expect((await read.json()) as unknown[]).toHaveLength(60)
}, 60_000)

import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('echo')])
})
afterAll(async () => await edge[Symbol.asyncDispose]())

test('default: a job is created, claimed, reported and read', async () => {
  const created = await edge.request('/api/jobs', {
    method: 'POST',
    body: '{"containers":["echo"],"data":{"b": 1.0, "1":9007199254740993}}',
  })
  expect(created.status).toBe(200)
  const { id } = (await created.json()) as { id: string }
  const [job] = await runner.claim()
  expect(job).toMatchObject({ id, attempt: 1, data: '{"b": 1.0, "1":9007199254740993}' })
  expect(await runner.report([success(job!, '{"x": 2.0}')])).toEqual([{ id, attempt: 1, answer: 'accepted' }])
  const read = await edge.request(`/api/jobs?id=${id}`)
  expect(await read.text()).toBe(
    `[{"id":"${id}","status":"success","result":{"container":"echo","output":{"x": 2.0}}}]`,
  )
})

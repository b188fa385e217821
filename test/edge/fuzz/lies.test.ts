import { randomUUID } from 'node:crypto'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Job } from '../../../src/protocol/job.ts'
import type { ClaimedJob, ControlAnswer, ReportedResult } from '../../../src/protocol/runner.ts'
import { adminToken } from '../../support/edge.ts'
import { objectText } from '../../support/json-text.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../../support/runner.ts'
import { ask } from './ask.ts'
import { lieOf } from './lies.ts'
import { runs, timeout } from './runs.ts'
import { startWorld, type World } from './world.ts'

/** Runners whose keys are good, and whose word is not. */

let world: World

beforeAll(async () => {
  world = await startWorld()
})
afterAll(async () => await world[Symbol.asyncDispose]())

/** What stands of the liar's own leases. */
async function held(): Promise<unknown> {
  const ids = world.leases.map(({ id }) => `'${id}'`).join(', ')
  return await world.db.orm.all(
    `select id, state, attempt, tries, instance, result, lease_expires_at from jobs where id in (${ids}) order by id`,
  )
}

describe('lies', () => {
  test('default: get nobody anything, and cost nobody a job', { timeout }, async () => {
    const before = await held()
    const told = new Set<string>()
    await fc.assert(
      fc.asyncProperty(lieOf(world), async ({ what, request, status, answer }) => {
        const authorization = ['authorization', `Bearer ${await world.liar.token()}`] as const
        const { response, body } = await ask(
          world,
          { ...request, headers: [...request.headers, authorization] },
          { authorized: true },
        )
        expect({ what, status: response.status, body }).toMatchObject({ what, status, body: answer })
        expect(await held()).toEqual(before)
        told.add(what)
      }),
      runs(250),
    )
    expect(told.size).toBeGreaterThan(10)
  })
})

describe('results', () => {
  async function lease(): Promise<ClaimedJob> {
    const { edge, liar, leases } = world
    seq += 1
    await edge.createJob({ containers: ['echo'], data: {} }, { ip: '198.51.100.9' })
    const [job] = await liar.claim({ max: 1, holding: leases, seq })
    return job!
  }
  let seq = 1_000_000

  test('behavior: of any that contradict each other, the first counts', { timeout }, async () => {
    const outputs = fc.array(fc.constantFrom('1', '"2"', 'null', '{"a":[]}'), { minLength: 2, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(outputs, fc.boolean(), async (said, together) => {
        const job = await lease()
        const reports: ReportedResult[] = said.map((output, index) =>
          index % 2 === 0 ? success(job, output) : { ...success(job, output), status: 'failed' },
        )
        const { liar, edge } = world
        const answers = together
          ? await liar.report(reports)
          : (await Promise.all(reports.map(async report => await liar.report([report])))).flat()
        const accepted = answers.findIndex(({ answer }) => answer === 'accepted')
        expect(answers.map(({ answer }) => answer).filter(answer => answer !== 'duplicate')).toEqual([
          'accepted',
        ])
        if (together) expect(accepted).toBe(0)
        const read = (await (await edge.request(`/api/jobs/${job.id}`, { ip: '198.51.100.9' })).json()) as Job
        expect(read).toMatchObject({
          state: reports[accepted]!.status,
          result: JSON.parse((reports[accepted]!.result as { text: string }).text),
        })
        expect(await world.miscounts()).toEqual([])
      }),
      runs(15),
    )
  })
})

describe('answers', () => {
  /** What is asked under this name; the runner is heard of again by asking. */
  async function questionOf(runner: TestRunner, model: string): Promise<string> {
    const { instance } = runner
    await runner.post('/runner/heartbeat', { instance, leases: [], containers: [] })
    for (;;) {
      const response = await runner.post('/runner/control', {
        instance,
        holding: [],
        mode: 'run',
        wait_ms: 5_000,
      })
      const { questions } = (await response.json()) as ControlAnswer
      const question = questions.find(({ model_id }) => model_id === model)
      if (question) return question.id
    }
  }

  test('behavior: whatever one runner says of its containers, clients hear of the others', {
    timeout,
  }, async () => {
    const { edge, liar, victim, db } = world
    await fc.assert(
      fc.asyncProperty(objectText, async said => {
        const model = randomUUID()
        await db.orm.batch([db.orm.run('delete from answers'), db.orm.run('delete from questions')])
        for (const { post, instance } of [liar, victim])
          await post('/runner/heartbeat', { instance, leases: [], containers: [] })
        const heard = edge.request(`/resources?model_id=${model}`)
        const question = await questionOf(liar, model)
        const answer = async ({ post, instance }: TestRunner, text: string) =>
          await post('/runner/answer', { instance, question, answer: text })
        expect((await answer(liar, said)).status).toBe(200)
        // What was said first stays.
        expect((await answer(liar, '{"other":1}')).status).toBe(200)
        expect((await answer(victim, '{"victim":{"supported":true}}')).status).toBe(200)
        const response = await heard
        expect(response.status).toBe(200)
        expect(await response.json()).toMatchObject({ victim: { supported: true } })
      }),
      runs(20),
    )
  })
})

describe('floods', () => {
  const admin = { authorization: `Bearer ${adminToken}` }

  test('behavior: policies as large as they may be do not keep the operator from the list of runners', async () => {
    const addresses = Array.from({ length: 4_000 }, () => 'x'.repeat(60))
    const policy = (index: number) => policyOf(`large-${index}`, { allowed_addresses: addresses })
    for (let index = 0; index < 20; index += 1) await startTestRunner(world.edge, [policy(index)])
    const response = await world.edge.request('/admin/runners', { headers: admin })
    expect(response.status).toBe(200)
    const listed = (await response.json()) as { containers: string[] }[]
    expect(listed.filter(({ containers }) => containers[0] === 'large-3')).toHaveLength(1)
  })

  test('behavior: processes that say all they may of their containers do not keep the policy from being read', async () => {
    const containers = Array.from({ length: 256 }, (_, index) => ({
      id: `c${index}`.padEnd(128, 'x'),
      health: 'ready',
    }))
    const hosts = await Promise.all(Array.from({ length: 9 }, () => startTestRunner(world.edge, [])))
    for (const host of hosts) {
      const instances = Array.from({ length: 15 }, () => randomUUID())
      for (const instance of [host.instance, ...instances]) {
        await host.post('/runner/register', { instance, version: 'x', containers: [] })
        const response = await host.post('/runner/heartbeat', { instance, leases: [], containers })
        expect(response.status).toBe(200)
      }
    }
    // Older snapshots are good for 5 s; this is not.
    await world.edge.db.orm.run('update policy set epoch = epoch + 1')
    await expect
      .poll(async () => (await world.edge.request('/info')).status, { timeout: 8_000, interval: 1_100 })
      .toBe(200)
    expect((await world.edge.create({ containers: ['nobody'], data: {} })).status).toBe(422)
  })
})

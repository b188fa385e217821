import { randomUUID } from 'node:crypto'
import { type SQL, sql } from 'drizzle-orm'
import * as v from 'valibot'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Db } from '../../src/edge/db/open.ts'
import { listRunners } from '../../src/edge/runners/enrol.ts'
import type { HostReport } from '../../src/protocol/host.ts'
import { Runner } from '../../src/protocol/runner.ts'
import { adminToken, startTestEdge, type TestEdge } from '../support/edge.ts'
import { startQueue } from '../support/queue.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'

let edge: TestEdge
beforeAll(async () => {
  edge = await startTestEdge()
})
afterAll(() => edge[Symbol.asyncDispose]())

const host: HostReport = {
  mode: 'run',
  gpus: [
    {
      index: 0,
      uuid: 'GPU-0',
      name: 'NVIDIA H100 80GB HBM3',
      driver: '550.54.15',
      memory_mib: 81559,
      memory_used_mib: 1024,
      utilization: null,
      temperature: 41,
      problem: null,
    },
  ],
  findings: [{ code: 'gpu_lost', detail: 'nvidia-smi lists GPU-1 no more', containers: ['b'] }],
}

async function listed({ id }: TestRunner) {
  const response = await edge.request('/admin/runners', {
    headers: { authorization: `Bearer ${adminToken}` },
  })
  return v.parse(v.array(Runner), await response.json()).find(runner => runner.id === id)
}

async function beat({ instance, post }: TestRunner, body: object) {
  const response = await post('/runner/heartbeat', { instance, leases: [], containers: [], ...body })
  expect(response.status).toBe(200)
}

describe('GET /admin/runners', () => {
  test('default: the GPUs of a host, what is wrong with it, and containers that are not ready', async () => {
    const runner = await startTestRunner(edge, [policyOf('a'), policyOf('b')])
    expect((await listed(runner))?.process).toEqual({
      instance: runner.instance,
      version: 'test',
      unready: [],
      host: null,
    })
    const lost = { id: 'b', health: 'unhealthy', code: 'gpu_lost', detail: 'nvidia-smi lists GPU-1 no more' }
    await beat(runner, { containers: [{ id: 'a', health: 'ready' }, lost], host })
    expect((await listed(runner))?.process).toMatchObject({ unready: [lost], host })
  })

  test('behavior: a beat that tells nothing of the host leaves it as it was told', async () => {
    const runner = await startTestRunner(edge, [policyOf('a')])
    await beat(runner, { host })
    await beat(runner, { containers: [{ id: 'a', health: 'starting' }] })
    expect((await listed(runner))?.process).toMatchObject({
      unready: [{ id: 'a', health: 'starting' }],
      host,
    })
    await beat(runner, { host: { ...host, mode: 'drain', findings: [] } })
    expect((await listed(runner))?.process?.host).toEqual({ ...host, mode: 'drain', findings: [] })
  })

  test('behavior: of several processes the one that was heard of last', async () => {
    const runner = await startTestRunner(edge, [policyOf('a')])
    await beat(runner, { host })
    const instance = crypto.randomUUID()
    await runner.post('/runner/register', { instance, version: 'newer', containers: [policyOf('a')] })
    expect((await listed(runner))?.process).toMatchObject({ instance, version: 'newer', host: null })
  })

  test('error: what is no report is refused, and says where', async () => {
    const { instance, post } = await startTestRunner(edge, [policyOf('a')])
    const told = (wrong: object) =>
      post('/runner/heartbeat', { instance, leases: [], containers: [], host: { ...host, ...wrong } })
    const response = await told({ gpus: [{ ...host.gpus[0], utilization: '37 %' }] })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      code: 'invalid_request',
      error: expect.stringContaining('host.gpus.0.utilization'),
    })
    expect((await told({ mode: 'sleep' })).status).toBe(400)
  })
})

describe('what is listed of many hosts', () => {
  test('behavior: fits into responses of the database, in whatever script it is written', async () => {
    const queue = await startQueue()
    onTestFinished(() => queue.close())
    const health = JSON.stringify(
      Array.from({ length: 10 }, (_, index) => ({
        id: `c-${index}`,
        health: 'unhealthy',
        code: 'x',
        detail: '漢'.repeat(1024),
      })),
    )
    const labels = JSON.stringify({
      rack: Array.from({ length: 50 }, (_, index) => `${index}${'漢'.repeat(127)}`),
    })
    for (let index = 0; index < 300; index += 1) {
      const runner = `runner-${index}`
      await queue.db.orm.batch([
        queue.db.orm.run(sql`insert into runners (id, name, public_key, enrolled_at, containers, labels)
          values (${runner}, 'x', 'k', 0, ${JSON.stringify([policyOf('a')])}, ${labels})`),
        queue.db.orm.run(sql`insert into instances (id, runner, version, registered_at, last_seen_at, health)
          values (${randomUUID()}, ${runner}, '1', 0, ${queue.clock.ms}, ${health})`),
      ])
    }
    const answered: number[] = []
    const all = queue.db.orm.all.bind(queue.db.orm)
    const db: Db = {
      ...queue.db,
      orm: Object.assign(Object.create(queue.db.orm) as Db['orm'], {
        async all(query: SQL) {
          const rows = await all(query)
          answered.push(Buffer.byteLength(JSON.stringify(rows)))
          return rows
        },
      }),
    }
    expect(await listRunners(db)).toHaveLength(300)
    expect(answered.length).toBeGreaterThan(2)
    for (const bytes of answered) expect(bytes).toBeLessThan(4 * 1024 * 1024)
  })
})

describe('requires', () => {
  let big: TestRunner
  let plain: TestRunner
  const job = (requires?: unknown, containers = ['work']) => ({ containers, data: {}, requires })

  beforeAll(async () => {
    const containers = [policyOf('work'), policyOf('chat', { openai: true })]
    plain = await startTestRunner(edge, containers)
    big = await startTestRunner(edge, containers, fetch, {
      gpu: ['NVIDIA H100 80GB HBM3'],
      gpu_memory_gib: [80],
    })
  })
  beforeEach(async () => await edge.db.orm.run('delete from jobs'))

  test('default: a job goes to a host with these labels, and says what it requires', async () => {
    const id = await edge.createJob(job({ gpu_memory_gib: 40, gpu: 'H100' }))
    expect(await plain.claim()).toEqual([])
    expect(await big.claim()).toMatchObject([{ id, containers: ['work'] }])
    const asked = await (await edge.request(`/api/jobs/${id}`)).json()
    expect(asked).toMatchObject({ containers: ['work'], requires: { gpu: 'h100', gpu_memory_gib: 40 } })
    expect((await listed(big))?.labels).toEqual({ gpu: ['nvidia h100 80gb hbm3'], gpu_memory_gib: [80] })
  })

  test('behavior: what no enrolled runner has is refused at once; what only is away waits', async () => {
    const refused = await edge.create(job({ gpu: 'H100', gpu_memory_gib: 81 }))
    expect(refused.status).toBe(422)
    expect(await refused.json()).toEqual({
      code: 'unmet_requires',
      error: 'No enrolled runner with these containers has such labels',
      params: { requires: { gpu: 'h100', gpu_memory_gib: 81 } },
    })
    await beat(big, { containers: [] })
    await edge.db.orm.run('update policy set epoch = epoch + 1')
    const other = await startTestRunner(edge, [policyOf('elsewhere')])
    await expect
      .poll(async () => (await edge.create(job({ gpu: 'H100' }))).headers.get('infernet-runner'))
      .toBe('offline')
    await beat(big, {
      containers: [
        { id: 'work', health: 'ready' },
        { id: 'chat', health: 'ready' },
      ],
    })
    expect(other.id).not.toBe(big.id)
  })

  test('behavior: a chain is refused unless one host has all of its containers, and the labels', async () => {
    const labels = { zone: ['chains'] }
    const chain = job({ zone: 'chains' }, ['work-first', 'work-then'])
    for (const id of ['work-first', 'work-then']) await startTestRunner(edge, [policyOf(id)], fetch, labels)
    const refused = await edge.create(chain)
    expect([refused.status, await refused.json()]).toMatchObject([422, { code: 'unmet_requires' }])
    const both = await startTestRunner(
      edge,
      ['work-first', 'work-then'].map(id => policyOf(id)),
      fetch,
      labels,
    )
    const id = await edge.createJob(chain)
    expect(await both.claim()).toMatchObject([{ id }])
  })

  test('behavior: who asks for too many different ones is told, and nobody else is kept from asking', async () => {
    const lanes = Array.from({ length: 40 }, (_, index) => job({ gpu_memory_gib: index }))
    const batch = await edge.create(lanes, { path: '/api/jobs/batch', ip: '192.0.2.66' })
    const answers = (await batch.json()) as { code?: string }[]
    expect(answers.slice(32)).toEqual(
      Array.from({ length: 8 }, () => ({
        code: 'queue_full_for_owner',
        error: 'Your jobs wait for too many different chains and labels',
        params: { limit: 32 },
      })),
    )
    expect((await edge.create(job({ gpu: 'H100' }), { ip: '192.0.2.67' })).status).toBe(200)
    expect((await edge.create(job(), { ip: '192.0.2.66' })).status).toBe(200)
  })

  test('behavior: the labels of a container’s GPUs are its own', async () => {
    const gpu_labels = [{ id: 'with-gpu', labels: { gpu: ['NVIDIA L40S'] } }]
    const containers = [policyOf('with-gpu'), policyOf('without')]
    const runner = await startTestRunner(edge, containers)
    const { instance, post } = runner
    const told = { instance, version: 'x', containers, gpu_labels }
    expect((await post('/runner/register', told)).status).toBe(200)
    const wanted = { gpu: 'L40S' }
    const asked = await Promise.all(
      [['with-gpu'], ['without'], ['without', 'with-gpu']].map(
        async names => (await edge.create(job(wanted, names))).status,
      ),
    )
    expect(asked).toEqual([200, 422, 200])
    expect(await runner.claim()).toHaveLength(2)
    expect(await listed(runner)).toMatchObject({
      labels: {},
      gpu_labels: [{ id: 'with-gpu', labels: { gpu: ['nvidia l40s'] } }],
    })
  })

  test('behavior: hosts that share a key are two to jobs, and to who asks for them', async () => {
    const containers = [policyOf('twice')]
    const first = await startTestRunner(edge, containers, fetch, { zone: ['one'] })
    const instance = crypto.randomUUID()
    const second = { instance, version: 'x', containers, labels: { zone: ['two'] } }
    expect((await first.post('/runner/register', second)).status).toBe(200)
    const id = await edge.createJob(job({ zone: 'one' }, ['twice']))
    await edge.createJob(job({ zone: 'two' }, ['twice']))
    expect(await first.claim()).toMatchObject([{ id }])
  })

  test('behavior: a job for hosts of which none is to run anything finds nobody there', async () => {
    const runner = await startTestRunner(edge, [policyOf('paused')])
    const setMode = (mode: string) =>
      edge.request(`/admin/runners/${runner.id}`, {
        method: 'PATCH',
        headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
        body: JSON.stringify({ mode }),
      })
    const seen = async () => {
      // Has the edge read anew what it has stored.
      await edge.db.orm.run('update policy set epoch = epoch + 1')
      return (await edge.create(job(undefined, ['paused']))).headers.get('infernet-runner')
    }
    expect(await seen()).toBeNull()
    expect((await setMode('pause')).status).toBe(200)
    expect(await seen()).toBe('offline')
    expect((await setMode('run')).status).toBe(200)
    expect(await seen()).toBeNull()
    const ready = [{ id: 'paused', health: 'ready' }]
    const some = { code: 'gpu_lost', detail: 'x', containers: ['other'] }
    await beat(runner, {
      containers: ready,
      host: { ...host, findings: [some, { ...some, containers: null }] },
    })
    expect(await seen()).toBe('offline')
    await beat(runner, { containers: ready, host: { ...host, findings: [some] } })
    expect(await seen()).toBeNull()
  })

  test('behavior: a job that waits for some seconds is told what it waits for', async () => {
    const runner = await startTestRunner(edge, [policyOf('held'), policyOf('beside')], fetch, {
      zone: ['held'],
    })
    const { instance, post } = runner
    const setMode = (mode: string) =>
      edge.request(`/admin/runners/${runner.id}`, {
        method: 'PATCH',
        headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
        body: JSON.stringify({ mode }),
      })
    const id = await edge.createJob(job({ zone: 'held' }, ['held', 'beside']))
    const read = async (path: string) => (await edge.request(path)).json() as Promise<{ waiting?: unknown }>
    const waiting = async () => {
      // Has the edge read anew what it has stored.
      await edge.db.orm.run('update policy set epoch = epoch + 1')
      await edge.createJob(job())
      return (await read(`/api/jobs/${id}`)).waiting
    }
    expect(await waiting()).toBeUndefined()
    await edge.db.orm.run(`update jobs set created_at = created_at - 3000 where id = '${id}'`)
    expect(await waiting()).toEqual({
      code: 'busy',
      message: 'Every host that could take it is busy with jobs that came before',
    })
    const ready = ['held', 'beside'].map(container => ({ id: container, health: 'ready' }))
    const down = { id: 'beside', health: 'unhealthy', code: 'image_pull_failed', detail: 'no such image' }
    await beat(runner, { containers: [ready[0], down] })
    expect(await waiting()).toEqual({
      code: 'not_ready',
      message: 'Container beside is not ready: image_pull_failed: no such image',
    })
    // Ready elsewhere, where the other container is not.
    const elsewhere = await startTestRunner(edge, [policyOf('beside')])
    expect(await waiting()).toMatchObject({ message: expect.stringContaining('no such image') })
    expect(elsewhere.id).not.toBe(runner.id)
    const finding = { code: 'disk_low', detail: 'at /a/path', containers: null }
    await beat(runner, { containers: ready, host: { ...host, findings: [finding] } })
    const held = (why: string) => ({
      code: 'held',
      message: `Every host with its containers is held: ${why}`,
    })
    expect(await waiting()).toEqual(held('disk_low (1)'))
    expect((await setMode('pause')).status).toBe(200)
    expect(await waiting()).toEqual(held('pause (1)'))
    await edge.db.orm.run(
      `update instances set last_seen_at = last_seen_at - 180000 where id = '${instance}'`,
    )
    expect(await waiting()).toEqual({
      code: 'offline',
      message: 'No host with its containers was heard of for the last two minutes',
    })
    const told = { instance, version: 'x', labels: {}, containers: [policyOf('held'), policyOf('beside')] }
    expect((await post('/runner/register', told)).status).toBe(200)
    expect(await waiting()).toEqual({
      code: 'unmet_requires',
      message: 'No enrolled host with its containers has the labels that it requires',
    })
    expect((await post('/runner/register', { ...told, containers: [policyOf('held')] })).status).toBe(200)
    expect(await waiting()).toEqual({ code: 'no_host', message: 'No enrolled host has its containers' })
    // The reference's clients see what they know.
    expect(await read(`/api/jobs?id=${id}`)).toEqual([{ id, status: 'running', result: null }])
  })

  test('behavior: batches, streams, PUT, and keys', async () => {
    const batch = await edge.create([job({ gpu: 'H100' }), job({ gpu: 'B300' }), job({ gpu: 7.5 })], {
      path: '/api/jobs/batch',
    })
    expect(await batch.json()).toEqual([
      { id: expect.any(String) },
      expect.objectContaining({ code: 'unmet_requires' }),
      expect.objectContaining({ code: 'invalid_request', error: expect.stringContaining('requires.gpu') }),
    ])
    const stream = await edge.create(job({ gpu: 'B300' }), { path: '/api/jobs/stream' })
    expect(stream.status).toBe(422)
    const put = async (id: string, requires: unknown) =>
      (await edge.request(`/api/jobs/${id}`, { method: 'PUT', body: JSON.stringify(job(requires)) })).status
    const id = crypto.randomUUID()
    expect([
      await put(id, { gpu: 'H100' }),
      await put(id, { gpu: 'H100' }),
      await put(id, { region: 'x' }),
    ]).toEqual([200, 200, 409])
    const keyed = async (requires: unknown) =>
      (
        await edge.request('/api/jobs', {
          method: 'POST',
          body: JSON.stringify(job(requires)),
          headers: { 'idempotency-key': `k-${id}` },
        })
      ).status
    expect([await keyed({ gpu: 'H100' }), await keyed({ gpu: 'H100' }), await keyed(undefined)]).toEqual([
      200, 200, 409,
    ])
  })

  test("behavior: OpenAI's door takes them in a header, and the container gets the body as it is", async () => {
    const ask = (requires: string) =>
      edge.request('/v1/chat/completions', {
        method: 'POST',
        headers: { 'infernet-requires': requires },
        body: '{"model":"chat","messages":[]}',
      })
    const answered = ask('{"gpu": "h100"}')
    const [claimed] = await big.claim({ wait_ms: 10_000 })
    expect(claimed?.data).toBe('{"model":"chat","messages":[]}')
    await big.report([success(claimed!, '{"choices":[]}')])
    expect(await (await answered).json()).toEqual({ choices: [] })
    const unmet = await ask('{"gpu": "b300"}')
    expect(unmet.status).toBe(422)
    expect(await unmet.json()).toMatchObject({ error: { code: 'unmet_requires' } })
    // Bytes of UTF-8, and of Latin 1: what they are depends on the host. Escaped they are the same on all.
    for (const wrong of ['{"gpu":"zÃ¼rich"}', '{"gpu":"zürich"}']) {
      const refused = await ask(wrong)
      expect([refused.status, await refused.json()]).toMatchObject([
        400,
        { error: { message: expect.stringContaining('ASCII') } },
      ])
    }
    expect((await ask('{"gpu":"z\\u00fcrich"}')).status).toBe(422)
    for (const wrong of ['gpu=h100', '["h100"]', '{"gpu":"h100"},"data":{}', '{"GPU":"h100"}'])
      expect((await ask(wrong)).status).toBe(400)
  })

  test('behavior: an older runner, which knows of no labels, registers and works', async () => {
    const response = await plain.post('/runner/register', {
      instance: plain.instance,
      version: 'old',
      containers: [policyOf('work'), policyOf('chat', { openai: true })],
    })
    expect(response.status).toBe(200)
    const id = await edge.createJob(job())
    expect(await plain.claim()).toMatchObject([{ id }])
  })

  test('error: labels that are none', async () => {
    const register = async (labels: unknown) =>
      (
        await plain.post('/runner/register', {
          instance: plain.instance,
          version: 'x',
          containers: [],
          labels,
        })
      ).status
    expect(await register({ Gpu: ['x'] })).toBe(400)
    expect(await register({ gpu: 'x' })).toBe(400)
    expect(await register({ gpu: [-1] })).toBe(400)
  })
})

import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { HeartbeatRequest, RegisterRequest } from '../../src/protocol/runner.ts'
import { type FakeEdge, refusal } from './fake-edge.ts'
import { echo, json, serve } from './serve.ts'
import { eventually, setup } from './setup.ts'

const bodies = <T>(edge: FakeEdge, path: string): T[] =>
  edge.seen.filter(one => one.path === `/runner/${path}`).map(({ body }) => body as T)

describe('register', () => {
  test('default: tells the policy of each container and none of its secrets', async () => {
    const { edge, embed } = await setup()
    const token = `0x${'a'.repeat(40)}`
    const policy = {
      allowed_ips: ['10.0.0.0/8'],
      accepted_payments: { [token]: 5 },
      generates_proofs: true,
      openai: true,
      external: false,
    }
    const secrets = {
      bearer: 'secret-bearer',
      env: { TOKEN: 'secret-env' },
      command: 'secret-command',
      volumes: ['/secret:/x'],
    }
    await embed({ containers: [{ id: 'one', url: 'http://10.1.1.1:1', ...policy, ...secrets }] })
    await eventually(() => bodies(edge, 'register').length > 0)
    const [request] = bodies<RegisterRequest>(edge, 'register')
    expect(request?.containers).toEqual([
      {
        id: 'one',
        description: '',
        image: '',
        external: false,
        generates_proofs: true,
        openai: true,
        allowed_ips: ['10.0.0.0/8'],
        allowed_addresses: [],
        allowed_delegate_addresses: [],
        signed_data: false,
        accepted_payments: { [token]: '5' },
      },
    ])
    expect(JSON.stringify(request)).not.toMatch(/secret|10\.1\.1\.1/)
  })

  test('behavior: an edge that is away is tried again until it is there', async () => {
    const { edge, embed, container, logged } = await setup()
    const served = await container(echo)
    let faults = 2
    edge.state.fault = () => (faults-- > 0 ? { status: 503 } : undefined)
    const runner = await embed({ containers: [{ id: 'one', url: served.url }] })
    await runner.ready
    expect(logged.map(({ event }) => event)).toContain('Claiming jobs failed, trying again')
    const { id } = edge.enqueue({ containers: ['one'], data: '1' })
    expect((await edge.reported(id)).status).toBe('success')
  })

  test('behavior: 401 says whether the key or the clock is wrong', async () => {
    const { edge, embed, logged, key } = await setup()
    edge.revoke(key.id)
    await embed({})
    await eventually(() =>
      logged.some(({ fields }) => String(fields.error).includes(`runner ${key.id} is not enrolled`)),
    )
    const other = await setup()
    const date = new Date(Date.now() - 95_000).toUTCString()
    other.edge.state.fault = () => ({ status: 401, headers: { date } })
    await other.embed({})
    await eventually(() =>
      other.logged.some(({ fields }) => /clock is 9\d s ahead of the edge/.test(String(fields.error))),
    )
  })
})

describe('claim', () => {
  test('default: no more jobs than slots at once, and all of them get done', async () => {
    const { edge, embed, container } = await setup()
    let [now, most] = [0, 0]
    const served = await container((_, response) => {
      most = Math.max(most, ++now)
      setTimeout(() => {
        now--
        json(response, '1')
      }, 10)
    })
    await embed({ slots: 3, containers: [{ id: 'a', url: served.url }] })
    const jobs = Array.from({ length: 30 }, () => edge.enqueue({ containers: ['a'], data: '1' }))
    for (const { id } of jobs) expect((await edge.reported(id)).answer).toBe('accepted')
    expect(most).toBe(3)
    expect(served.calls.length).toBe(30)
  })

  test('behavior: no claim while nothing is free; a slot that frees up is offered at once', async () => {
    const { edge, embed, container } = await setup({
      pace: { lease_ms: 60_000, heartbeat_ms: 5_000, wait_ms: 20_000 },
    })
    const waiting: (() => void)[] = []
    const slow = await container((_, response) => void waiting.push(() => json(response, '1')))
    const idle = await container(echo)
    await embed({
      containers: [
        { id: 'slow', url: slow.url },
        { id: 'idle', url: idle.url },
      ],
    })
    const first = edge.enqueue({ containers: ['slow'], data: '1' })
    await eventually(() => waiting.length === 1)
    const second = edge.enqueue({ containers: ['slow'], data: '2' })
    // The claim under way lists the idle container alone; it is given up when the slow one is free.
    await eventually(() => bodies(edge, 'claim').length === 2)
    waiting.shift()?.()
    expect((await edge.reported(first.id)).status).toBe('success')
    await eventually(() => waiting.length === 1)
    waiting.shift()?.()
    expect((await edge.reported(second.id)).status).toBe('success')
    const offered = bodies<{ routes: { route: string }[]; seq: number }>(edge, 'claim')
    expect(offered.every(({ routes }) => routes.length > 0)).toBe(true)
    expect(offered.map(({ seq }) => seq)).toEqual(offered.map((_, index) => index + 1))
    expect(offered[1]?.routes).toEqual([{ route: 'idle', slots: 1 }])
  })

  test('behavior: jobs of a lost claim answer come again and are done once', async () => {
    const { edge, embed, container } = await setup()
    const served = await container(echo)
    let drops = 1
    edge.state.fault = path =>
      path === '/runner/claim' && edge.queue.length > 0 && drops-- > 0 ? 'drop' : undefined
    const { id } = edge.enqueue({ containers: ['one'], data: '1' })
    await embed({ containers: [{ id: 'one', url: served.url }] })
    const report = await edge.reported(id)
    expect(report).toMatchObject({ status: 'success', attempt: 2, answer: 'accepted' })
    expect(served.calls.length).toBe(1)
  })

  test('behavior: after a gap it registers, reports and beats before it claims', async () => {
    const { edge, embed, container, logged } = await setup()
    const served = await container(echo)
    const runner = await embed({ containers: [{ id: 'one', url: served.url }] })
    await runner.ready
    await eventually(() => bodies(edge, 'claim').length > 0)
    let broken = true
    edge.state.fault = () => (broken ? { status: 502 } : undefined)
    edge.enqueue({ containers: ['one'], data: '1' })
    for (const what of ['Claiming jobs', 'Reporting results'])
      await eventually(() => logged.some(({ event }) => event === `${what} failed, trying again`))
    const from = edge.seen.length
    broken = false
    await eventually(() => edge.seen.slice(from).some(({ path }) => path === '/runner/claim'))
    const order = edge.seen.slice(from).map(({ path }) => path.replace('/runner/', ''))
    for (const step of ['register', 'report', 'heartbeat'])
      expect(order.slice(0, order.indexOf('claim'))).toContain(step)
  })

  test('behavior: when it has registered again, results go out at once, whatever their own pause', async () => {
    const { edge, embed, container, logged } = await setup()
    const served = await container(echo)
    const runner = await embed({ slots: 2, containers: [{ id: 'one', url: served.url }] })
    await runner.ready
    // 401 pauses for 15 s, and the report alone gets it.
    edge.state.fault = path => (path === '/runner/report' ? { status: 401 } : undefined)
    const { id } = edge.enqueue({ containers: ['one'], data: '1' })
    await eventually(() => logged.some(({ event }) => event === 'Reporting results failed, trying again'))
    edge.state.fault = path => (path === '/runner/claim' ? { status: 503 } : undefined)
    edge.changed()
    expect((await edge.reported(id)).answer).toBe('accepted')
  })

  test('behavior: after a silence that may have outlived leases it leaves the others time to beat before it claims', async () => {
    const { edge, embed, container } = await setup({
      pace: { lease_ms: 700, heartbeat_ms: 200, wait_ms: 500 },
    })
    const served = await container(echo)
    const runner = await embed({ slots: 2, containers: [{ id: 'one', url: served.url }] })
    await runner.ready
    await eventually(() => bodies(edge, 'claim').length > 0)
    edge.state.fault = () => 'drop'
    const brokenAt = Date.now()
    await eventually(() => Date.now() - brokenAt > 1_500)
    const from = edge.seen.length
    edge.state.fault = () => undefined
    await eventually(() => edge.seen.slice(from).some(({ path }) => path === '/runner/claim'))
    const at = (name: string) => edge.seen.slice(from).find(({ path }) => path === `/runner/${name}`)?.at ?? 0
    // The longest time that another runner takes to come back is half a second.
    expect(at('claim') - at('register')).toBeGreaterThan(1_000)
    expect(at('heartbeat')).toBeLessThan(at('claim'))
  })

  test('behavior: pause claims nothing until told to run', async () => {
    const { edge, embed, container } = await setup({
      pace: { lease_ms: 60_000, heartbeat_ms: 5_000, wait_ms: 200 },
    })
    const served = await container(echo)
    edge.state.mode = 'pause'
    const runner = await embed({ containers: [{ id: 'one', url: served.url }] })
    await runner.ready
    await eventually(() => bodies<{ mode: string }>(edge, 'control').some(({ mode }) => mode === 'pause'))
    const job = edge.enqueue({ containers: ['one'], data: '1' })
    const claims = bodies(edge, 'claim').length
    await eventually(() => bodies(edge, 'control').length > 4)
    expect(bodies(edge, 'claim').length).toBeLessThanOrEqual(claims + 1)
    edge.state.mode = 'run'
    edge.changed()
    expect((await edge.reported(job.id)).status).toBe('success')
  })
})

describe('reach', () => {
  test('behavior: a container that went away fails the job that found out, and takes no more until it answers', async () => {
    const { edge, embed, container } = await setup()
    const served = await container(echo)
    const runner = await embed({ slots: 1, containers: [{ id: 'one', url: served.url }] })
    await runner.ready
    served.close()
    const jobs = Array.from({ length: 20 }, () => edge.enqueue({ containers: ['one'], data: '1' }))
    const told = () => bodies<HeartbeatRequest>(edge, 'heartbeat').at(-1)?.containers
    await eventually(() => edge.reports.length > 0 && told()?.[0]?.health === 'unhealthy')
    expect(told()).toEqual([{ id: 'one', health: 'unhealthy', detail: 'connection refused' }])
    expect(edge.reports.map(({ error_code }) => error_code)).toEqual(['connection_refused'])
    expect(edge.queue.length).toBe(19)
    const { port } = new URL(served.url)
    const back = await serve(echo, Number(port))
    onTestFinished(() => back.close())
    for (const { id } of jobs.slice(1)) expect((await edge.reported(id)).status).toBe('success')
    expect(edge.reports.length).toBe(20)
  })

  test('behavior: one that runs elsewhere is offered once anything answers there', async () => {
    const { edge, embed, container, logged } = await setup()
    const served = await container(echo)
    served.close()
    const { id } = edge.enqueue({ containers: ['one'], data: '1' })
    await embed({ containers: [{ id: 'one', url: `${served.url}/below` }] })
    await eventually(() => logged.some(({ event }) => event.startsWith('A container does not answer')))
    await eventually(() => bodies(edge, 'heartbeat').length > 0)
    expect(bodies(edge, 'claim')).toEqual([])
    const { port } = new URL(served.url)
    const back = await serve(echo, Number(port))
    onTestFinished(() => back.close())
    expect((await edge.reported(id)).status).toBe('success')
  })
})

describe('control', () => {
  test('behavior: cancel aborts the container call and is reported', async () => {
    const { edge, embed, container } = await setup({
      pace: { lease_ms: 60_000, heartbeat_ms: 30_000, wait_ms: 20_000 },
    })
    const served = await container(() => {})
    await embed({ containers: [{ id: 'one', url: served.url }] })
    const { id } = edge.enqueue({ containers: ['one'], data: '1' })
    await eventually(() => served.calls.length === 1)
    edge.cancel(id)
    await served.calls[0]?.aborted
    expect(await edge.reported(id)).toMatchObject({
      status: 'failed',
      error_code: 'cancelled',
      answer: 'stale',
    })
  })

  test('behavior: a lost lease aborts the container call', async () => {
    const { edge, embed, container } = await setup({
      pace: { lease_ms: 60_000, heartbeat_ms: 100, wait_ms: 2_000 },
    })
    const served = await container(() => {})
    await embed({ containers: [{ id: 'one', url: served.url }] })
    const { id } = edge.enqueue({ containers: ['one'], data: '1' })
    await eventually(() => served.calls.length === 1)
    edge.state.lost.push({ id, attempt: 1 })
    await served.calls[0]?.aborted
  })

  test('behavior: drain finishes what is held and ends', async () => {
    const { edge, embed, container } = await setup()
    const waiting: (() => void)[] = []
    const served = await container((_, response) => void waiting.push(() => json(response, '1')))
    const runner = await embed({ containers: [{ id: 'one', url: served.url }] })
    const { id } = edge.enqueue({ containers: ['one'], data: '1' })
    await eventually(() => waiting.length === 1)
    edge.state.mode = 'drain'
    edge.changed()
    await eventually(() => bodies<{ mode: string }>(edge, 'control').some(({ mode }) => mode === 'drain'))
    waiting[0]?.()
    await runner.ended
    expect((await edge.reported(id)).status).toBe('success')
  })

  test('behavior: drain during the beat before a claim begins no claim', async () => {
    const { edge, embed } = await setup({
      pace: { lease_ms: 60_000, heartbeat_ms: 5_000, wait_ms: 20_000 },
    })
    const beating = Promise.withResolvers<void>()
    edge.state.fault = path => {
      if (path === '/runner/heartbeat') beating.resolve()
      return undefined
    }
    const runner = await embed({ containers: [{ id: 'one', url: 'http://127.0.0.1:1' }] })
    await beating.promise
    await runner.drain()
    expect(bodies(edge, 'claim')).toEqual([])
  })

  test('behavior: questions are put to every container, silent ones left out', async () => {
    const { edge, embed, container } = await setup()
    const good = await container(({ url }, response) =>
      json(response, url.includes('model_id') ? '{"supported": true}' : '{"gpu": 1.0}'),
    )
    const bad = await container((_, response) => json(response, '{}', 404))
    const html = await container((_, response) => response.end('<p>'))
    await embed({
      containers: [
        { id: 'good', url: good.url, bearer: 'b' },
        { id: 'bad', url: bad.url },
        { id: 'html', url: html.url },
        { id: 'gone', url: 'http://127.0.0.1:1' },
      ],
    })
    expect(await edge.ask(null)).toBe('{"good":{"gpu": 1.0}}')
    expect(await edge.ask('org/model a&b')).toBe('{"good":{"supported": true}}')
    expect(good.calls.map(({ url }) => url)).toEqual([
      '/service-resources',
      '/service-resources?model_id=org%2Fmodel+a%26b',
    ])
    expect(good.calls[0]?.headers.authorization).toBe('Bearer b')
  })
})

describe('heartbeat', () => {
  test('behavior: a job that runs on is told as started within about a second; a short one never', async () => {
    const { edge, embed, container } = await setup({
      pace: { lease_ms: 60_000, heartbeat_ms: 30_000, wait_ms: 2_000 },
    })
    const served = await container(({ body }, response) => {
      if (!body.includes('"data": "long"')) json(response, '1')
    })
    await embed({ slots: 2, containers: [{ id: 'one', url: served.url }] })
    const short = edge.enqueue({ containers: ['one'], data: '"short"' })
    await edge.reported(short.id)
    const long = edge.enqueue({ containers: ['one'], data: '"long"' })
    await eventually(() => long.started)
    expect(Date.now() - long.claimedAt).toBeLessThan(6_000)
    expect(short.started).toBe(false)
    const health = bodies<HeartbeatRequest>(edge, 'heartbeat').at(-1)?.containers
    expect(health).toEqual([{ id: 'one', health: 'ready' }])
  })

  test('behavior: leases are renewed while the main thread stands still', async () => {
    const { edge, spawn, container } = await setup({
      pace: { lease_ms: 60_000, heartbeat_ms: 200, wait_ms: 2_000 },
    })
    const served = await container(() => {})
    const stall = new URL('./stall.ts', import.meta.url).pathname
    const runner = await spawn(
      { containers: [{ id: 'one', url: served.url }] },
      { env: { NODE_OPTIONS: `--import ${stall}` } },
    )
    const job = edge.enqueue({ containers: ['one'], data: '1' })
    await eventually(() => served.calls.length === 1 && job.started)
    const stalled = new Promise<[number, number]>(resolve =>
      runner.child.once('message', message => resolve(message as [number, number])),
    )
    runner.child.send('stall')
    const [from, to] = await stalled
    const beats = edge.seen.filter(({ path, at }) => path === '/runner/heartbeat' && at > from && at < to)
    expect(to - from).toBeGreaterThanOrEqual(3_000)
    expect(beats.length).toBeGreaterThanOrEqual(8)
    expect(beats.every(({ body }) => (body as HeartbeatRequest).leases.some(({ id }) => id === job.id))).toBe(
      true,
    )
  })
})

describe('ping', () => {
  test('behavior: the main thread shows the heartbeat thread that it is alive', async () => {
    const told = vi.spyOn(Worker.prototype, 'postMessage')
    onTestFinished(() => told.mockRestore())
    const { embed } = await setup()
    await embed({})
    await eventually(() => told.mock.calls.some(([message]) => message.kind === 'ping'))
  })
})

describe('report', () => {
  test('behavior: a result that the edge never takes does not stop claims for good', async () => {
    const { edge, embed, container, logged } = await setup()
    const served = await container(echo)
    let gone = false
    edge.state.fault = path =>
      path === '/runner/report' || (gone && path === '/runner/claim') ? { status: 503 } : undefined
    await embed({ slots: 1, containers: [{ id: 'one', url: served.url }] }, { recoverMs: 50 })
    edge.enqueue({ containers: ['one'], data: '1' })
    await eventually(() => logged.some(({ event }) => event === 'Reporting results failed, trying again'))
    gone = true
    edge.enqueue({ containers: ['one'], data: '2' })
    await eventually(() => logged.some(({ event }) => event === 'Claiming jobs failed, trying again'))
    gone = false
    edge.enqueue({ containers: ['one'], data: '3' })
    await eventually(() => served.calls.some(({ body }) => body.includes('"data": 3')))
  })

  test.each(['duplicate', 'stale'] as const)('behavior: %s lets the result go', async answer => {
    const { edge, embed, container, directory } = await setup()
    const served = await container(echo)
    edge.state.answer = answer
    await embed({ containers: [{ id: 'one', url: served.url }] })
    const { id } = edge.enqueue({ containers: ['one'], data: '1' })
    expect((await edge.reported(id)).answer).toBe(answer)
    const batches = join(directory, '.infernet-runner', 'batches')
    for (let files = await readdir(batches); files.length > 0; ) files = await readdir(batches)
    expect(edge.reports.length).toBe(1)
  })

  test.each([400, 404, 405, 409, 413, 422])(
    'behavior: %s of a proxy before the edge ends nothing',
    async status => {
      const { edge, embed, container } = await setup()
      const served = await container((_, response) => json(response, JSON.stringify('x'.repeat(100_000))))
      const faults = { report: 2, put: 2 }
      edge.state.fault = (path, { method }) => {
        const of = path === '/runner/report' ? 'report' : method === 'PUT' ? 'put' : null
        return of !== null && faults[of]-- > 0 ? { status, body: '<p>404 page not found' } : undefined
      }
      await embed({ containers: [{ id: 'one', url: served.url }] })
      const { id } = edge.enqueue({ containers: ['one'], data: '1' })
      expect(await edge.reported(id)).toMatchObject({ attempt: 1, answer: 'accepted' })
      expect(served.calls.length).toBe(1)
    },
  )

  test.each([
    ['inline', 10],
    ['in parts', 100_000],
  ])(
    'behavior: a result that the edge refuses for good is kept, and holds up no other: %s',
    async (_, size) => {
      const { edge, embed, container, directory, logged } = await setup()
      const output = JSON.stringify('x'.repeat(size))
      const served = await container((_, response) => json(response, output))
      let refusing = true
      edge.state.fault = path =>
        path === '/runner/report' && refusing ? refusal('invalid_request') : undefined
      await embed({ containers: [{ id: 'one', url: served.url }] })
      const refused = edge.enqueue({ containers: ['one'], data: '1' })
      await eventually(() => logged.some(({ event }) => event === 'A result was set aside'))
      refusing = false
      const { id } = edge.enqueue({ containers: ['one'], data: '2' })
      expect((await edge.reported(id)).answer).toBe('accepted')
      const spool = join(directory, '.infernet-runner')
      const line = JSON.parse(await readFile(join(spool, 'corrupt', `${refused.id}.1.json`), 'utf8'))
      const payload = await readFile(join(spool, 'corrupt', `${refused.id}.1.result`), 'utf8').catch(
        () => null,
      )
      expect(line).toMatchObject({ id: refused.id, attempt: 1, status: 'success' })
      expect(line.result.text ?? payload).toBe(`{"container":"one","output":${output}}`)
    },
  )

  test('behavior: results wait in the spool while the edge fails, in few files, and a full spool stops claims', async () => {
    const { edge, embed, container, directory, logged } = await setup()
    const served = await container((_, response) => json(response, JSON.stringify('x'.repeat(60_000))))
    let broken = true
    edge.state.fault = path => (path === '/runner/report' && broken ? { status: 503 } : undefined)
    await embed({ slots: 16, spool_max_bytes: 1024 * 1024, containers: [{ id: 'one', url: served.url }] })
    const jobs = Array.from({ length: 80 }, () => edge.enqueue({ containers: ['one'], data: '1' }))
    await eventually(() => logged.some(({ event }) => event.startsWith('The spool is full')))
    expect((await readdir(join(directory, '.infernet-runner', 'batches'))).length).toBeLessThan(12)
    expect(served.calls.length).toBeLessThan(80)
    broken = false
    for (const { id } of jobs) expect((await edge.reported(id)).answer).toBe('accepted')
  })
})

describe('process', () => {
  test('behavior: a result survives kill -9 between finishing and reporting', async () => {
    const { edge, spawn, container, directory } = await setup()
    const large = JSON.stringify('y'.repeat(2 * 1024 * 1024))
    const served = await container(({ body }, response) =>
      json(response, body.includes('"data": 1,') ? '{"n": 1.0}' : large),
    )
    let broken = true
    edge.state.fault = (path, { method }) =>
      broken && (path === '/runner/report' || method === 'PUT') ? 'hang' : undefined
    const config = { slots: 2, containers: [{ id: 'one', url: served.url }] }
    const first = await spawn(config)
    const jobs = [
      edge.enqueue({ containers: ['one'], data: '1' }),
      edge.enqueue({ containers: ['one'], data: '2' }),
    ]
    const batches = join(directory, '.infernet-runner', 'batches')
    const spooled = async () => {
      const names = await readdir(batches).catch(() => [])
      return (await Promise.all(names.map(name => readFile(join(batches, name), 'utf8')))).join('')
    }
    for (let text = ''; !jobs.every(({ id }) => text.includes(id)); ) text = await spooled()
    first.child.kill('SIGKILL')
    await first.exited
    broken = false
    await writeFile(join(batches, 'damaged'), '{"id":"torn')
    const from = edge.seen.length
    const beats = bodies(edge, 'heartbeat').length
    const second = await spawn(config)
    const [small, big] = await Promise.all(jobs.map(({ id }) => edge.reported(id)))
    expect(small).toMatchObject({
      answer: 'accepted',
      attempt: 1,
      resultText: '{"container":"one","output":{"n": 1.0}}',
    })
    expect(big).toMatchObject({ answer: 'accepted', attempt: 1 })
    expect(big?.resultText === `{"container":"one","output":${large}}`).toBe(true)
    expect(served.calls.length).toBe(2)
    await eventually(() => edge.seen.slice(from).some(({ path }) => path === '/runner/claim'))
    const [beat] = bodies<HeartbeatRequest>(edge, 'heartbeat').slice(beats)
    expect(beat?.leases).toEqual(expect.arrayContaining([{ id: jobs[1]?.id, attempt: 1, started: true }]))
    const order = edge.seen.slice(from).map(({ path }) => path)
    expect(order.lastIndexOf('/runner/report')).toBeLessThan(order.indexOf('/runner/claim'))
    expect(second.output()).toContain('A spool file is damaged and was set aside')
    expect(await readdir(join(directory, '.infernet-runner', 'corrupt'))).toEqual(['damaged'])
    second.child.kill('SIGTERM')
    expect(await second.exited).toEqual({ code: 0, signal: null })
    expect(await readdir(batches)).toEqual([])
    expect(await readdir(join(directory, '.infernet-runner', 'payloads'))).toEqual([])
  })

  test('behavior: SIGTERM finishes the jobs in hand, reports them, claims no more, and exits 0', async () => {
    const { edge, spawn, container } = await setup()
    const waiting: (() => void)[] = []
    const served = await container((_, response) => void waiting.push(() => json(response, '1')))
    const runner = await spawn({ containers: [{ id: 'one', url: served.url, bearer: 'hush-hush' }] })
    const { id } = edge.enqueue({ containers: ['one'], data: '"payload-text"' })
    await eventually(() => waiting.length === 1)
    runner.child.kill('SIGTERM')
    await runner.said('Draining')
    const late = edge.enqueue({ containers: ['one'], data: '2' })
    waiting[0]?.()
    expect(await runner.exited).toEqual({ code: 0, signal: null })
    expect((await edge.reported(id)).status).toBe('success')
    expect(late.state).toBe('queued')
    expect(runner.output()).not.toMatch(/hush-hush|payload-text|PRIVATE|eyJ[\w-]+\./)
    for (const line of runner.output().trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow()
  })

  test('behavior: a second signal ends at once and leaves the job to others', async () => {
    const { edge, spawn, container } = await setup()
    const served = await container(() => {})
    const runner = await spawn({ containers: [{ id: 'one', url: served.url }] })
    const { id } = edge.enqueue({ containers: ['one'], data: '1' })
    await eventually(() => served.calls.length === 1)
    runner.child.kill('SIGTERM')
    await runner.said('Draining')
    runner.child.kill('SIGTERM')
    expect(await runner.exited).toEqual({ code: 0, signal: null })
    expect(edge.reports.some(report => report.id === id)).toBe(false)
  })

  test('behavior: a second signal waits for a result that is being written to the spool', async () => {
    const { edge, spawn, container, directory } = await setup()
    const served = await container(echo)
    const slowDisk = new URL('./slow-disk.ts', import.meta.url).pathname
    const runner = await spawn(
      { containers: [{ id: 'one', url: served.url }] },
      { env: { NODE_OPTIONS: `--import ${slowDisk}` } },
    )
    const writing = new Promise(resolve => runner.child.once('message', resolve))
    const { id } = edge.enqueue({ containers: ['one'], data: '1' })
    await writing
    runner.child.kill('SIGTERM')
    await runner.said('Draining')
    runner.child.kill('SIGTERM')
    expect(await runner.exited).toEqual({ code: 0, signal: null })
    const batches = join(directory, '.infernet-runner', 'batches')
    const texts = (await readdir(batches)).map(name => readFile(join(batches, name), 'utf8'))
    expect((await Promise.all(texts)).join('')).toContain(id)
    expect(edge.reports).toEqual([])
  })

  test('behavior: nobody reads its output any more, and it works on and ends as told', async () => {
    const { edge, spawn, container } = await setup()
    const served = await container(echo)
    const runner = await spawn({ containers: [{ id: 'one', url: served.url }] })
    await runner.said('Runner is ready')
    runner.child.stdout?.destroy()
    runner.child.stderr?.destroy()
    // Told twice, that it waits and that it works again.
    let refusals = 1
    edge.state.fault = path => (path === '/runner/claim' && refusals-- > 0 ? { status: 503 } : undefined)
    edge.changed()
    await eventually(() => refusals < 0)
    const { id } = edge.enqueue({ containers: ['one'], data: '1' })
    expect((await edge.reported(id)).status).toBe('success')
    runner.child.kill('SIGTERM')
    expect(await runner.exited).toEqual({ code: 0, signal: null })
  })

  test('behavior: a spool is for one process', async () => {
    const { spawn } = await setup()
    const first = await spawn({})
    await first.said('Runner is ready')
    const second = await spawn({})
    expect((await second.exited).code).toBe(75)
    expect(second.output()).toContain('Another runner uses the spool')
  })
})

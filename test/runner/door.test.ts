import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import { readAddress } from '../../src/runner/door/address.ts'
import { echo, json } from './serve.ts'
import { setup } from './setup.ts'
import { spawnMain } from './spawn.ts'

const main = fileURLToPath(new URL('../../src/runner/main.ts', import.meta.url))

/** A runner as a process, and its own address. */
async function started(config: object = {}, env: Record<string, string> = {}) {
  const set = await setup()
  const served = await set.container(({ body, ...call }, response) => {
    if (body.includes('"wrong"')) json(response, '{"error": "no"}', 500)
    else if (!body.includes('"wait"')) echo({ body, ...call }, response)
  })
  const containers = [{ id: 'one', url: served.url, slots: 3 }]
  const runner = await set.spawn({ containers, ...config }, { env })
  await runner.said('Status, metrics and log are at')
  const address = await readAddress(join(set.directory, '.infernet-runner'))
  const url = address?.url ?? ''
  const command = (...args: string[]) => spawnMain([...args, '--config', join(set.directory, 'config.json')])
  return { ...set, served, runner, url, command, get: (path: string) => fetch(`${url}${path}`) }
}

/** The value of a metric, by its line up to that. */
function metricIn(text: string, metric: string): number {
  const line = text.split('\n').find(one => one.startsWith(`${metric} `))
  return Number(line?.slice(metric.length + 1) ?? Number.NaN)
}

describe('the own address', () => {
  test('default: it is alive, ready once it claims, and says why when it does not', async () => {
    const { edge, runner, get } = await started()
    await runner.said('Runner is ready')
    await expect.poll(async () => (await get('/readyz')).status).toBe(200)
    expect(await (await get('/readyz')).json()).toEqual({ ready: true, reasons: [] })
    edge.state.mode = 'pause'
    edge.changed()
    await runner.said('The edge has set the mode')
    const paused = await get('/readyz')
    expect(paused.status).toBe(503)
    expect(await paused.json()).toEqual({ ready: false, reasons: ['the edge has set the mode pause'] })
    expect(await (await get('/healthz')).text()).toBe('ok\n')
    expect((await get('/elsewhere')).status).toBe(404)
    expect((await fetch((await get('/healthz')).url, { method: 'POST' })).status).toBe(405)
  })

  test('behavior: an edge that is away, and containers that are, are the reason', async () => {
    const { edge, runner, served, get } = await started()
    await runner.said('Runner is ready')
    served.close()
    edge.state.fault = () => ({ status: 503 })
    edge.enqueue({ containers: ['one'], data: '{}' })
    await expect
      .poll(async () => ((await (await get('/readyz')).json()) as { reasons: string[] }).reasons, {
        timeout: 20_000,
      })
      .toEqual([expect.stringContaining('The edge answered 503 to POST /runner/')])
    edge.state.fault = () => undefined
    await expect
      .poll(async () => ((await (await get('/readyz')).json()) as { reasons: string[] }).reasons, {
        timeout: 20_000,
      })
      .toEqual(['no container is ready: one (unhealthy: connection refused)'])
  })

  test('behavior: metrics count jobs, their time, the edge, slots and health', async () => {
    const { edge, runner, get } = await started()
    await runner.said('Runner is ready')
    const good = edge.enqueue({ containers: ['one'], data: '{"a": 1}' })
    const bad = edge.enqueue({ containers: ['one'], data: '{"a": "wrong"}' })
    await Promise.all([edge.reported(good.id), edge.reported(bad.id)])
    edge.enqueue({ containers: ['one'], data: '{"a": "wait"}' })
    const read = async () => await (await get('/metrics')).text()
    await expect.poll(async () => metricIn(await read(), 'infernet_runner_jobs_in_hand')).toBe(1)
    await expect.poll(async () => metricIn(await read(), 'infernet_runner_results_reported_total')).toBe(2)
    const text = await read()
    const expected = {
      'infernet_runner_jobs_total{container="one",outcome="success"}': 1,
      'infernet_runner_jobs_total{container="one",outcome="http_error"}': 1,
      'infernet_runner_job_duration_seconds_count{container="one"}': 2,
      'infernet_runner_job_duration_seconds_bucket{le="30",container="one"}': 2,
      'infernet_runner_edge_requests_total{route="register",status="200"}': 1,
      'infernet_runner_container_health{container="one",health="ready"}': 1,
      'infernet_runner_container_health{container="one",health="unhealthy"}': 0,
      'infernet_runner_container_failures_total{container="one"}': 0,
      'infernet_runner_slots{container="one"}': 3,
      'infernet_runner_slots_free{container="one"}': 2,
      infernet_runner_ready: 1,
      infernet_runner_results_waiting: 0,
      infernet_runner_spool_max_bytes: 2 ** 30,
    }
    const found = Object.fromEntries(Object.keys(expected).map(metric => [metric, metricIn(text, metric)]))
    expect(found).toEqual(expected)
    expect(metricIn(text, 'infernet_runner_edge_requests_total{route="claim",status="200"}')).toBeGreaterThan(
      1,
    )
    expect(metricIn(text, 'infernet_runner_heartbeat_age_seconds')).toBeLessThan(30)
    edge.state.fault = path => (path === '/runner/control' ? { status: 502 } : undefined)
    edge.changed()
    const errors = 'infernet_runner_edge_requests_total{route="control",status="502"}'
    await expect.poll(async () => metricIn(await read(), errors), { timeout: 20_000 }).toBeGreaterThan(0)
  })

  test('behavior: what is not known yet is absent from the metrics, not 0', async () => {
    const { edge, spawn, directory } = await setup()
    edge.state.fault = () => ({ status: 503 })
    const runner = await spawn({})
    await runner.said('Status, metrics and log are at')
    const { url = '' } = (await readAddress(join(directory, '.infernet-runner'))) ?? {}
    const read = async () => await (await fetch(`${url}/metrics`)).text()
    const text = await read()
    expect(metricIn(text, 'infernet_runner_ready')).toBe(0)
    for (const name of ['heartbeat_age_seconds', 'edge_answer_age_seconds'])
      expect(text, name).not.toMatch(new RegExp(`^infernet_runner_${name} `, 'm'))
    edge.state.fault = () => undefined
    await expect
      .poll(async () => metricIn(await read(), 'infernet_runner_heartbeat_age_seconds'), { timeout: 20_000 })
      .toBeGreaterThanOrEqual(0)
  })

  test('behavior: a path that is no path is refused, and so is who asks by the name of a page', async () => {
    const { runner, url } = await started()
    const { hostname, port } = new URL(url)
    const status = (path: string, host?: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const asked = request({ hostname, port, path, ...(host && { headers: { host } }) }, response => {
          response.resume()
          resolve(response.statusCode)
        })
        asked.on('error', reject).end()
      })
    expect(await status('//')).toBe(400)
    expect(await status('/healthz')).toBe(200)
    expect(await status('/status', `page.example:${port}`)).toBe(403)
    expect(await status('/status', 'page.example')).toBe(403)
    for (const host of [`localhost:${port}`, '127.0.0.1', `[::1]:${port}`])
      expect(await status('/status', host)).toBe(200)
    expect(runner.output()).not.toContain('Uncaught exception')
  })

  test('behavior: a port that is taken costs a runner nothing but that port', async () => {
    const port = await freePort()
    const blocker = createServer()
    await new Promise<void>(resolve => blocker.listen(port, '127.0.0.1', resolve))
    onTestFinished(() => void blocker.close())
    const { runner, url, get } = await started({ listen: `127.0.0.1:${port}` })
    expect(runner.output()).toContain('The own address is taken, using another')
    expect(new URL(url).port).not.toBe(String(port))
    expect((await get('/healthz')).status).toBe(200)
  })

  test('behavior: an address that cannot be had is told, and the runner works without', async () => {
    const { spawn, edge, container } = await setup()
    const { url } = await container(echo)
    // Of the documentation's network: no machine has it.
    const runner = await spawn({ listen: '203.0.113.1:4001', containers: [{ id: 'one', url }] })
    await runner.said('There is no status and no metrics: the own address cannot be had')
    const { id } = edge.enqueue({ containers: ['one'], data: '1' })
    expect((await edge.reported(id)).status).toBe('success')
  })

  test('behavior: a public address is named as such, and none is none', async () => {
    const open = await started({ listen: '0.0.0.0:0' })
    expect(open.runner.output()).toContain('can be read from other machines')
    const closed = await setup()
    const runner = await closed.spawn({ listen: '' })
    await runner.said('Registered with the edge')
    expect(runner.output()).not.toContain('Status, metrics and log')
    const asked = spawnMain(['status', '--once', '--config', join(closed.directory, 'config.json')])
    expect(await asked.exited).toMatchObject({ code: 1 })
    expect(asked.output()).toContain('`listen` is ""')
  })
})

describe('status', () => {
  test('default: lines of JSON where nobody sits at a terminal', async () => {
    const { runner, command, edge, key } = await started()
    await runner.said('Runner is ready')
    edge.enqueue({ containers: ['one'], data: '{"a": "wait"}' })
    const watching = command('status')
    onTestFinished(() => void watching.child.kill('SIGKILL'))
    await watching.said('"stream":false')
    const states = watching
      .output()
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(states.at(-1)).toMatchObject({
      runner: key.id,
      ready: true,
      edge: { url: edge.url, registered: true, mode: 'run', trouble: null },
      containers: [{ id: 'one', health: 'ready', detail: null, slots: 3, busy: 1 }],
      jobs: [{ attempt: 1, containers: ['one'], stream: false }],
      unreported: 0,
      spool: { max_bytes: 2 ** 30, full: false, writable: true },
    })
  })

  test('behavior: a table on a terminal, drawn again', async () => {
    const { runner, directory } = await started()
    await runner.said('Runner is ready')
    const command = [process.execPath, main, 'status', '--config', join(directory, 'config.json')]
    const terminal = spawn('script', ['-qec', command.join(' '), '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => void terminal.kill('SIGKILL'))
    let output = ''
    while (output.split('CONTAINER').length < 3) output += (await once(terminal.stdout, 'data'))[0]
    expect(output).toMatch(/CONTAINER +HEALTH +BUSY/)
    expect(output).toMatch(/one +ready +0\/3/)
  })

  test('behavior: no runner, or one that was killed, is told', async () => {
    const { runner, command, directory } = await started()
    runner.child.kill('SIGKILL')
    await runner.exited
    const killed = command('status', '--once')
    expect((await killed.exited).code).toBe(1)
    expect(killed.output()).toMatch(/^The runner does not answer at http:\S+ any more: connect ECONNREFUSED/)
    // Its port has gone to somebody else, who is another runner.
    const other = await started()
    const address = JSON.stringify({ url: other.url, instance: 'one that has ended' })
    await writeFile(join(directory, '.infernet-runner', 'address'), address)
    const foreign = command('status', '--once')
    expect((await foreign.exited).code).toBe(1)
    expect(foreign.output()).toContain('any more: somebody else does')
    other.runner.child.kill('SIGTERM')
    await other.runner.exited
    const ended = other.command('status', '--once')
    expect((await ended.exited).code).toBe(1)
    expect(ended.output()).toContain('No runner of this configuration runs')
  })
})

describe('logs', () => {
  test("default: the runner's, so many lines of it, and what comes", async () => {
    const { runner, command, edge } = await started()
    await runner.said('Runner is ready')
    const last = command('logs', '--tail', '1')
    expect((await last.exited).code).toBe(0)
    expect(last.output().trim()).toBe(runner.output().trim().split('\n').at(-1))
    const all = command('logs')
    await all.exited
    expect(all.output()).toBe(runner.output())
    const following = command('logs', '-f', '--tail', '0')
    const { id } = edge.enqueue({ containers: ['one'], data: '{"a": "wrong"}' })
    onTestFinished(() => void following.child.kill('SIGKILL'))
    // The follower may have come after the first job.
    await edge.reported(id)
    const again = setInterval(() => edge.enqueue({ containers: ['one'], data: '{"a": "wrong"}' }), 200)
    onTestFinished(() => clearInterval(again))
    await following.said('Container error')
    expect(following.output()).not.toContain('Runner starts')
    clearInterval(again)
    runner.child.kill('SIGTERM')
    expect((await following.exited).code).toBe(0)
  })

  test('behavior: of what is not here it says so', async () => {
    const { command } = await started()
    const told = async (...args: string[]) => {
      const { exited, output } = command('logs', ...args)
      return { code: (await exited).code, output: output() }
    }
    expect(await told('two')).toEqual({ code: 1, output: 'No container two is configured. There are: one\n' })
    expect((await told('one')).output).toMatch(/^one is not started here: its log is where it runs \(http/)
    expect((await told('--tail', 'x')).output).toBe('--tail is a count of lines\n')
  })
})

test('behavior: no secret of a configuration is in the log, the status or the metrics', async () => {
  const secret = 'do-not-tell'
  const { runner, edge, get, command } = await started(
    {
      docker: { username: 'user', password: `${secret}-1` },
      containers: [
        {
          id: 'one',
          url: `http://127.0.0.1:${await freePort()}`,
          bearer: `${secret}-2`,
          env: { TOKEN: `${secret}-3` },
          command: `serve --key ${secret}-4`,
          volumes: [`/${secret}-5:/data`],
        },
      ],
    },
    { INFERNET_LOG_LEVEL: 'debug', ADMIN_TOKEN: `${secret}-6` },
  )
  await runner.said('A container does not answer HTTP yet')
  const { id } = edge.enqueue({ containers: ['one'], data: `{"input": "${secret}-7"}` })
  const doctor = command('doctor')
  await doctor.exited
  const pages = await Promise.all(
    ['/status', '/metrics', '/log', '/readyz'].map(async path => await (await get(path)).text()),
  )
  edge.cancel(id)
  runner.child.kill('SIGTERM')
  await runner.exited
  for (const text of [runner.output(), doctor.output()])
    expect(text).toContain('every user of this host reads docker.password, bearer, env')
  for (const text of [runner.output(), doctor.output(), ...pages]) {
    expect(text.length).toBeGreaterThan(10)
    expect(text).not.toContain(secret)
  }
})

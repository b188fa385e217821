import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import type { Config } from '../../src/runner/config/config.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import { scopeOf } from '../../src/runner/docker/scope.ts'
import { nameOf } from '../../src/runner/docker/spec.ts'
import { buildImage, docker, reachable, removeContainers } from './docker.ts'
import { eventually, setup } from './setup.ts'

/** What containers do wrong, on a real engine: each ends in its own error, and nothing else is touched. */
const image = `infernet-runner-deaths:${process.pid}`
const program = readFileSync(fileURLToPath(new URL('./program.js', import.meta.url)), 'utf8')
const started = new Set<string>()

describe.skipIf(!reachable)('containers that fail', { timeout: 60_000 }, () => {
  beforeAll(() => buildImage(image, program))
  afterAll(async () => {
    await removeContainers(started)
    docker(['rmi', '-f', image])
  })

  /** A runner with containers of the image, and ways to see what the edge sees. `ids` is a container each, with what it differs in. */
  async function run(ids: Record<string, object>, more: object = {}) {
    const kit = await setup()
    const scope = scopeOf({ spool: { directory: join(kit.directory, '.infernet-runner') } } as Config)
    started.add(scope)
    const containers = await Promise.all(
      Object.entries(ids).map(async ([id, differing]) => ({
        id,
        image,
        port: await freePort(),
        slots: 4,
        ...differing,
      })),
    )
    const runner = await kit.embed({ manage_containers: true, containers, ...more })
    const { edge } = kit
    const job = (container: string, data: object) =>
      edge.enqueue({ containers: [container], data: JSON.stringify(data) }).id

    /** Jobs of a neighbour, one after another, while the others do their worst. */
    function neighbour(id: string) {
      const ids: string[] = []
      let isOver = false
      const work = (async () => {
        while (!isOver) {
          const next = job(id, { do: 'wait', ms: 200 })
          ids.push(next)
          await edge.reported(next)
        }
      })()
      /** After one more: all have succeeded, and the runner has seen nothing that it should not. */
      return async function isUntouched(): Promise<void> {
        isOver = true
        await work
        const reports = await Promise.all([...ids, job(id, {})].map(one => edge.reported(one)))
        expect(reports.filter(({ status }) => status !== 'success')).toEqual([])
        expect(kit.logged.filter(({ level }) => level === 'error')).toEqual([])
      }
    }

    return {
      ...kit,
      runner,
      job,
      neighbour,
      /** `next`: what containers differ in from then on. */
      reload(next: Record<string, object>) {
        const source = {
          edge: { url: edge.url, key_file: 'runner.key' },
          listen: '',
          manage_containers: true,
          containers: containers.map(container => ({ ...container, ...next[container.id] })),
          ...more,
        }
        const path = join(kit.directory, 'config.json')
        runner.reload(parseConfig(JSON.stringify(source), { path, env: {} }).config)
      },
      /** Ends the runner, and begins the next one. */
      async restart() {
        await runner.stop()
        return await kit.embed({ manage_containers: true, containers, ...more })
      },
      name: (id: string) => nameOf(scope, id),
      async result(id: string) {
        const report = await edge.reported(id)
        return JSON.parse(report.resultText)
      },
      health: (id: string) => edge.health().find(container => container.id === id),
    }
  }

  test('behavior: slow to start, or loading: claimed for once it is ready, and not before', async () => {
    const { runner, job, result } = await run(
      { slow: { env: { BOOT: 'slow' } }, loads: { env: { BOOT: 'loads', SAY: 'hi' }, start_timeout: 1 } },
      { ready_timeout: 20 },
    )
    const early = job('loads', {})
    await runner.ready
    expect(await result(early)).toMatchObject({ container: 'loads', output: { said: 'hi' } })
    expect(await result(job('slow', {}))).toMatchObject({ container: 'slow', output: {} })
  })

  test('behavior: one that never answers, one that never loads, one that crashes: each says so, and holds up no other', async () => {
    const { neighbour, health } = await run({
      good: {},
      mute: { env: { BOOT: 'mute' }, start_timeout: 0.4 },
      loading: { env: { BOOT: 'loading' }, ready_timeout: 0.4 },
      crash: { env: { BOOT: 'crash' } },
    })
    const isUntouched = neighbour('good')
    await eventually(() =>
      /^it exited with code 7 \([3-9] times in a row/.test(health('crash')?.detail ?? ''),
    )
    await eventually(() =>
      health('mute')?.detail?.startsWith('It did not answer HTTP on port 3000 within 0.4 s'),
    )
    await eventually(() =>
      health('loading')?.detail?.startsWith('It was not ready within 0.4 s, and answered 503'),
    )
    expect(health('mute')?.health).not.toBe('ready')
    expect(health('loading')?.health).not.toBe('ready')
    await isUntouched()
  })

  test('behavior: it exits: its jobs are told so, with what it wrote since each began; the job of another goes on', async () => {
    const { runner, edge, job, result, health } = await run({ one: {}, two: { env: { SAY: 'two' } } })
    await runner.ready
    const other = job('two', { do: 'wait', ms: 2_500 })
    const first = job('one', { do: 'never', name: 'A' })
    await eventually(() => edge.jobs.get(first)?.started)
    const second = job('one', { do: 'exit', name: 'B' })
    const failed = { container: 'one', code: 'exited' }
    const said = 'does B\nthe last words of B'
    expect(await result(second)).toEqual({
      ...failed,
      error: `Container one: it exited with code 3\n${said}`,
    })
    expect(await result(first)).toEqual({
      ...failed,
      error: `Container one: it exited with code 3\ndoes A\n${said}`,
    })
    await eventually(() => health('one')?.health === 'ready')
    expect(await result(job('one', {}))).toMatchObject({ output: {} })
    expect(await result(other)).toEqual({ container: 'two', output: { said: 'two' } })
  })

  test('behavior: it exits with much to say: 50 lines at most, 512 characters of each, 8 KiB of all', async () => {
    const { runner, job, result, health } = await run({ one: {} })
    await runner.ready
    /** The lines that the error has after its first one. */
    const lastWords = async (lines: string[]) => {
      await eventually(() => health('one')?.health === 'ready')
      const { error } = await result(job('one', { do: 'speak', lines }))
      const [reason, ...words] = error.split('\n')
      expect(reason).toBe('Container one: it exited with code 3')
      return words
    }
    const eighty = Array.from({ length: 80 }, (_, index) => `line ${index}`)
    const long = 'x'.repeat(2_000)
    expect(await lastWords(eighty.with(60, long))).toEqual(eighty.with(60, long.slice(0, 512)).slice(30))
    // 27 lines of 301 characters with their ends are less than 8192, 28 are more.
    const wide = eighty.map(line => line.padEnd(300, '.'))
    expect(await lastWords(wide)).toEqual(wide.slice(-27))
  })

  test('behavior: it runs out of memory', async () => {
    const { runner, job, result, health } = await run({ one: { limits: { memory: '160m' } }, two: {} })
    await runner.ready
    const other = job('two', { do: 'wait', ms: 1_500 })
    expect(await result(job('one', { do: 'oom' }))).toEqual({
      container: 'one',
      code: 'oom_killed',
      error: 'Container one: it ran out of memory and was killed (its limit is 160 MiB)',
    })
    expect(await result(other)).toMatchObject({ output: {} })
    await eventually(() => health('one')?.health === 'ready')
  })

  test('behavior: it exits long after one of its processes ran out of memory, or right after: told apart', async () => {
    const { runner, job, result, health } = await run({ one: { limits: { memory: '256m' } } })
    await runner.ready
    const killed = { output: { signal: 'SIGKILL' } }
    expect(await result(job('one', { do: 'worker' }))).toMatchObject(killed)
    expect(await result(job('one', { do: 'wait', ms: 5_500 }))).toMatchObject({ output: {} })
    expect(await result(job('one', { do: 'exit', name: 'A' }))).toEqual({
      container: 'one',
      code: 'exited',
      error: 'Container one: it exited with code 3\ndoes A\nthe last words of A',
    })
    await eventually(() => health('one')?.health === 'ready')
    expect(await result(job('one', { do: 'worker' }))).toMatchObject(killed)
    expect(await result(job('one', { do: 'exit', name: 'B' }))).toEqual({
      container: 'one',
      code: 'oom_killed',
      error: [
        'Container one: it ran out of memory and was killed (its limit is 256 MiB)',
        'does B',
        'the last words of B',
      ].join('\n'),
    })
  })

  test('behavior: it exits long after one of its processes ran out of memory under the last runner: as it is', async () => {
    const { runner, restart, job, result } = await run(
      { one: { limits: { memory: '256m' } } },
      { keep_running: true },
    )
    await runner.ready
    expect(await result(job('one', { do: 'worker' }))).toMatchObject({ output: { signal: 'SIGKILL' } })
    const next = await restart()
    await next.ready
    expect(await result(job('one', { do: 'wait', ms: 5_500 }))).toMatchObject({ output: {} })
    expect(await result(job('one', { do: 'exit', name: 'A' }))).toEqual({
      container: 'one',
      code: 'exited',
      error: 'Container one: it exited with code 3\ndoes A\nthe last words of A',
    })
  })

  test('behavior: it forks a thousand processes: stopped by its limit, which is nobody else’s', async () => {
    const { runner, job, neighbour, result, health } = await run({ one: { limits: { pids: 128 } }, two: {} })
    await runner.ready
    const isUntouched = neighbour('two')
    const { output } = await result(job('one', { do: 'fork', count: 1_000 }))
    expect(output.alive).toBeGreaterThan(32)
    expect(output.alive).toBeLessThan(128)
    expect(await result(job('two', { do: 'fork', count: 150 }))).toMatchObject({ output: { alive: 150 } })
    // They are still there, and it answers.
    expect(await result(job('one', {}))).toMatchObject({ output: {} })
    expect(await result(job('one', { do: 'fork', count: 1_000, careless: true }))).toMatchObject({
      code: 'exited',
      error: expect.stringMatching(/^Container one: it exited with code 1\n.*spawn \/sleep EAGAIN/s),
    })
    await eventually(() => health('one')?.health === 'ready')
    expect(await result(job('one', { do: 'fork', count: 32 }))).toMatchObject({ output: { alive: 32 } })
    await isUntouched()
  })

  test('behavior: it is removed behind our back, and made anew', async () => {
    const { edge, runner, job, result, health, name } = await run({ one: {} })
    await runner.ready
    const id = job('one', { do: 'never' })
    await eventually(() => edge.jobs.get(id)?.started)
    docker(['rm', '-f', name('one')])
    expect(await result(id)).toMatchObject({ code: 'exited' })
    await eventually(() => health('one')?.health === 'ready')
    expect(await result(job('one', {}))).toMatchObject({ output: {} })
  })

  test('behavior: it is paused behind our back: said, and unpaused', async () => {
    const { runner, job, result, health, logged, name } = await run({ one: {} })
    await runner.ready
    docker(['pause', name('one')])
    await eventually(() => health('one')?.code === 'not_ready')
    expect(health('one')?.detail).toBe('somebody else has paused it')
    await eventually(() => health('one')?.health === 'ready')
    expect(await result(job('one', {}))).toMatchObject({ output: {} })
    expect(logged.filter(({ event }) => event === 'Container(s) back up')).toHaveLength(1)
  })

  test('behavior: it hangs: its job is given up, and it is started anew when it answers nobody', async () => {
    const { runner, job, result, health, name } = await run({ one: { timeout: 1 }, two: {} })
    await runner.ready
    const startedAt = () => docker(['inspect', '-f', '{{.State.StartedAt}}', name('one')])
    const before = startedAt()
    // Slow is not hung.
    expect(await result(job('one', { do: 'never' }))).toMatchObject({ code: 'timeout' })
    docker(['kill', '--signal', 'STOP', name('one')])
    expect(await result(job('one', {}))).toMatchObject({ code: 'timeout' })
    await eventually(() => health('one')?.health === 'unhealthy')
    expect(health('one')).toMatchObject({
      code: 'not_ready',
      detail: 'it does not answer any more: no answer in time',
    })
    expect(await result(job('two', {}))).toMatchObject({ output: {} })
    await eventually(() => health('one')?.health === 'ready')
    expect(await result(job('one', {}))).toMatchObject({ output: {} })
    expect(startedAt()).not.toBe(before)
  })

  test('behavior: it says HTML, an error, 100 MiB, or nothing', async () => {
    const { runner, job, neighbour, result } = await run({ one: { timeout: 10 }, two: {} })
    await runner.ready
    const isUntouched = neighbour('two')
    const [html, refusal, huge, never] = ['html', 'refuse', 'huge', 'never'].map(act =>
      job('one', { do: act }),
    )
    expect(await result(html ?? '')).toMatchObject({ code: 'invalid_output' })
    const refused = await result(refusal ?? '')
    expect(refused.code).toBe('http_error')
    expect(refused.error).toMatch(/^500, message='Internal Server Error'.*\n\{"no":"x+$/s)
    expect(refused.error.split('\n')[1]).toHaveLength(2048)
    expect(await result(huge ?? '')).toMatchObject({ code: 'output_too_large' })
    expect(await result(never ?? '')).toMatchObject({
      code: 'timeout',
      error: 'Container one did not answer within 10 s',
    })
    expect(await result(job('one', {}))).toMatchObject({ output: {} })
    await isUntouched()
  })

  test('behavior: it floods its log, fills its disk, ignores SIGTERM when it is replaced: the jobs of another go on', async () => {
    const { runner, edge, job, neighbour, reload, result, health, name } = await run({
      one: {},
      two: {},
      fills: { limits: { disk: '16m' } },
      deaf: { env: { BOOT: 'deaf' } },
    })
    await runner.ready
    await eventually(() => edge.health().every(container => container.health === 'ready'))
    const isUntouched = neighbour('two')
    const filling = job('fills', { do: 'fill', bytes: 2 ** 25 })
    const deaf = docker(['inspect', '-f', '{{.Id}}', name('deaf')])
    reload({ deaf: { env: { SAY: 'anew' } } })
    // Until then it may be given a job still. It takes ten seconds to go.
    await eventually(() => health('deaf')?.health !== 'ready')
    // 60 MB, of which 30 are kept at most.
    expect(await result(job('one', { do: 'flood', lines: 60_000 }))).toMatchObject({ output: {} })
    const folder = dirname(docker(['inspect', '-f', '{{.LogPath}}', name('one')]))
    // Files are renamed while one looks, and may be seen under two names.
    const bytes = () => {
      const sizes = new Map<number, number>()
      for (const file of readdirSync(folder)) {
        const seen = statSync(join(folder, file), { throwIfNoEntry: false })
        if (seen && file.includes('-json.log')) sizes.set(seen.ino, seen.size)
      }
      return [...sizes.values()].reduce((sum, size) => sum + size, 0)
    }
    await expect.poll(bytes).toBeGreaterThan(19_000_000)
    expect(bytes()).toBeLessThan(33_000_000)
    expect(await result(filling)).toMatchObject({ container: 'fills', code: 'disk_limit' })
    expect(await result(job('deaf', {}))).toMatchObject({ output: { said: 'anew' } })
    expect(docker(['inspect', '-f', '{{.Id}}', name('deaf')])).not.toBe(deaf)
    await eventually(() => health('fills')?.health === 'ready')
    await isUntouched()
  })

  test('behavior: one that ignores SIGTERM is killed', async () => {
    const { runner, name } = await run({ one: { env: { BOOT: 'deaf' } } })
    await runner.ready
    await runner.stop()
    expect(docker(['inspect', '-f', '{{.State.Running}} {{.State.ExitCode}}', name('one')])).toBe('false 137')
  })
})

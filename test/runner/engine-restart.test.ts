import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import { buildImage, docker, reachable } from './docker.ts'
import { canStartEngines, createOwnEngine, type OwnEngine } from './own-engine.ts'
import { echo } from './serve.ts'
import { eventually, setup } from './setup.ts'

const program = readFileSync(fileURLToPath(new URL('./program.js', import.meta.url)), 'utf8')
const image = 'infernet-runner-restart'

/** A socket where nobody listens any more, as one that was killed leaves it. */
function leaveSocket({ host }: OwnEngine): void {
  const listens = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', listens, host.replace('unix://', '')])
}

test.skipIf(!canStartEngines)(
  'default: an engine of our own that is killed, with no containers, can be started at once',
  { timeout: 60_000 },
  async () => {
    const engine = await createOwnEngine()
    onTestFinished(() => engine.close())
    await engine.start()
    await engine.kill()
    await engine.start()
    expect(docker(['ps', '-q'], engine.host)).toBe('')
  },
)

test.skipIf(!canStartEngines)(
  'behavior: an engine of our own that does not let go of a network is taken down all the same',
  { timeout: 60_000 },
  async () => {
    const engine = await createOwnEngine()
    await engine.start()
    const bridge = `ifb${process.pid}`
    docker(['network', 'create', '-o', `com.docker.network.bridge.name=${bridge}`, 'held'], engine.host)
    onTestFinished(() => void spawnSync('ip', ['link', 'del', bridge]))
    const folder = await mkdtemp(join(tmpdir(), 'infernet-held-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const refuses = `[ "$3 $4" = "network rm" ] && { echo "has active endpoints" >&2; exit 1; }`
    await writeFile(
      join(folder, 'docker'),
      `#!/bin/sh\n${refuses}\nPATH='${process.env.PATH}' exec docker "$@"\n`,
      { mode: 0o755 },
    )
    vi.stubEnv('PATH', `${folder}:${process.env.PATH}`)
    onTestFinished(() => void vi.unstubAllEnvs())
    await expect(engine.close()).rejects.toThrow('has active endpoints')
    const directory = dirname(engine.host.replace('unix://', ''))
    expect([existsSync(directory), readFileSync('/proc/mounts', 'utf8').includes(directory)]).toEqual([
      false,
      false,
    ])
  },
)

describe.skipIf(!reachable || !canStartEngines)('an engine that ends', { timeout: 90_000 }, () => {
  /** A runner with a container of an engine of its own, and one that runs elsewhere and takes its time. `before`: what the engine does first; `differing`: what its container differs in. */
  async function run(before: (engine: OwnEngine) => unknown = () => {}, differing: object = {}) {
    const engine = await createOwnEngine()
    onTestFinished(() => engine.close())
    await engine.start()
    await buildImage(image, program, engine.host)
    await before(engine)
    const { edge, embed, container, logged } = await setup()
    const elsewhere = await container(({ body }, response) => {
      if (body.includes('"slow"')) setTimeout(() => echo({ body } as never, response), 6_000)
      else echo({ body } as never, response)
    })
    const runner = await embed(
      {
        manage_containers: true,
        containers: [
          { id: 'one', image, port: await freePort(), slots: 2, env: { SAY: 'hi' }, ...differing },
          { id: 'elsewhere', url: elsewhere.url, slots: 2 },
        ],
      },
      { dockerHost: engine.host },
    )
    const result = async (id: string) => JSON.parse((await edge.reported(id)).resultText)
    const health = () => edge.health().find(({ id }) => id === 'one')
    return { engine, edge, runner, logged, result, health }
  }

  test.each([
    ['gone', () => {}, 'ENOENT'],
    ['refusing', leaveSocket, 'ECONNREFUSED'],
  ] as const)(
    'behavior: it is %s when the runner starts: that is said, others are served, and its container comes with it',
    async (_, leave, code) => {
      const { engine, edge, runner, result, health } = await run(async own => {
        await own.end()
        leave(own)
      })
      const early = edge.enqueue({ containers: ['one'], data: '{}' })
      const other = edge.enqueue({ containers: ['elsewhere'], data: '1' })
      expect(await result(other.id)).toEqual({ container: 'elsewhere', output: 1 })
      await eventually(() => health()?.health === 'unhealthy')
      // Who brings it up says so, or who looks at the host.
      expect(health()).toMatchObject({
        code: expect.stringMatching(/^(container_unavailable|docker_unreachable)$/),
        detail: expect.stringContaining(code),
      })
      expect(early.state).toBe('queued')
      await engine.start()
      expect(await result(early.id)).toMatchObject({ container: 'one', output: { said: 'hi' } })
      await runner.stop()
    },
  )

  test('behavior: the runner and what runs elsewhere go on, and containers are back with the engine', async () => {
    const { engine, edge, runner, logged, result, health } = await run()
    await runner.ready
    const endless = edge.enqueue({ containers: ['one'], data: '{"do":"never"}' })
    const other = edge.enqueue({ containers: ['elsewhere'], data: '"slow"' })
    await eventually(() => edge.jobs.get(endless.id)?.started && edge.jobs.get(other.id)?.started)
    await engine.end()
    // It stops its containers before it ends, and says so.
    expect((await result(endless.id)).code).toBe('exited')
    await eventually(() => health()?.health !== 'ready')
    const meanwhile = edge.enqueue({ containers: ['one'], data: '{}' })
    await engine.start()
    expect(await result(meanwhile.id)).toMatchObject({ container: 'one', output: { said: 'hi' } })
    expect(await result(other.id)).toEqual({ container: 'elsewhere', output: 'slow' })
    expect(logged.filter(({ level }) => level === 'error')).toEqual([])
    await runner.stop()
  })

  test('behavior: it is killed in the middle of a job: that one is told, others go on, and containers are back with it', async () => {
    const { engine, edge, runner, logged, result, health } = await run()
    await runner.ready
    const endless = edge.enqueue({ containers: ['one'], data: '{"do":"never"}' })
    const other = edge.enqueue({ containers: ['elsewhere'], data: '"slow"' })
    await eventually(() => edge.jobs.get(endless.id)?.started && edge.jobs.get(other.id)?.started)
    await engine.kill()
    // The container runs on, and nobody is there to say so, or to lead to its port.
    expect(await result(endless.id)).toMatchObject({ container: 'one', code: 'connection_lost' })
    await eventually(() => health()?.health !== 'ready')
    const meanwhile = edge.enqueue({ containers: ['one'], data: '{}' })
    expect(await result(other.id)).toEqual({ container: 'elsewhere', output: 'slow' })
    await engine.start()
    expect(await result(meanwhile.id)).toMatchObject({ container: 'one', output: { said: 'hi' } })
    expect(logged.filter(({ level }) => level === 'error')).toEqual([])
    await runner.stop()
  })

  test('behavior: its container does not die: out of service, which is said, others are served, and it is back once it has died', async () => {
    // Deadlines in the seconds that a test has.
    const real = AbortSignal.timeout
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation(ms => real(ms / 4))
    onTestFinished(() => void timeout.mockRestore())
    const { engine, edge, runner, result, health } = await run(() => {}, { timeout: 1 })
    await runner.ready
    const id = docker(['ps', '-q'], engine.host)
    const inside = Number(docker(['inspect', '-f', '{{.State.Pid}}', id], engine.host))
    const [, shim] = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${inside}/status`, 'utf8')) ?? []
    expect(readFileSync(`/proc/${shim}/comm`, 'utf8')).toContain('containerd-shim')
    // It answers nobody, and who would kill it does not listen either.
    process.kill(inside, 'SIGSTOP')
    process.kill(Number(shim), 'SIGSTOP')
    onTestFinished(() => {
      if (existsSync(`/proc/${shim}`)) process.kill(Number(shim), 'SIGCONT')
    })
    const job = (container: string, data: string) => edge.enqueue({ containers: [container], data }).id
    expect(await result(job('one', '{}'))).toMatchObject({ container: 'one', code: 'timeout' })
    await eventually(() => health()?.code === 'undead')
    expect(health()).toMatchObject({
      health: 'unhealthy',
      detail: expect.stringContaining('was told to stop, and killed, and runs on'),
    })
    expect(existsSync(`/proc/${inside}`)).toBe(true)
    const waiting = edge.enqueue({ containers: ['one'], data: '{}' })
    expect(await result(job('elsewhere', '1'))).toEqual({ container: 'elsewhere', output: 1 })
    expect(waiting.state).toBe('queued')
    process.kill(Number(shim), 'SIGCONT')
    expect(await result(waiting.id)).toMatchObject({ container: 'one', output: { said: 'hi' } })
    expect(existsSync(`/proc/${inside}`)).toBe(false)
    await runner.stop()
  })
})

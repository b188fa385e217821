import type { SpawnOptions } from 'node:child_process'
import { chown, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, vi } from 'vitest'
import { parseConfig } from '../../src/runner/config/load.ts'
import { generateKey } from '../../src/runner/key/generate.ts'
import type { Log } from '../../src/runner/log.ts'
import { createRunner, type Runner, type RunnerOptions } from '../../src/runner/runner.ts'
import { type FakeEdgeOptions, startFakeEdge } from './fake-edge.ts'
import { type Handler, type Served, serve, type Tls } from './serve.ts'
import { spawnMain } from './spawn.ts'

export type Logged = { level: string; event: string; fields: Record<string, unknown> }

/** A directory, a key, an edge that knows it, and ways to start runners; everything ends with the test. */
export async function setup(options: FakeEdgeOptions = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-runner-'))
  const edge = await startFakeEdge(options)
  const key = await generateKey(join(directory, 'runner.key'))
  edge.enrol(key)
  const logged: Logged[] = []
  const log = recorder(logged)
  const closers: (() => unknown)[] = []
  onTestFinished(async () => {
    for (const close of closers.reverse()) await close()
    edge.close()
    await rm(directory, { recursive: true, force: true })
  })

  function source(config: object): string {
    return JSON.stringify({
      edge: { url: edge.url, key_file: 'runner.key' },
      manage_containers: false,
      // A free port: what a test does not look at bothers no other.
      listen: '127.0.0.1:0',
      ...config,
    })
  }

  return {
    directory,
    edge,
    key,
    logged,
    log,
    async container(handler: Handler, tls?: Tls): Promise<Served> {
      const served = await serve(handler, 0, tls)
      closers.push(() => served.close())
      return served
    },
    /** A runner inside this process. */
    async embed(
      config: object,
      {
        env = {},
        ...options
      }: Pick<RunnerOptions, 'recoverMs' | 'bounds' | 'dockerHost' | 'fitnessPace'> & {
        env?: Record<string, string>
      } = {},
    ): Promise<Runner> {
      const path = join(directory, 'config.json')
      const parsed = parseConfig(source(config), { path, env })
      const runner = createRunner({
        config: parsed.config,
        key,
        log,
        dockerHost: process.env.DOCKER_HOST,
        ...options,
      })
      closers.push(() => runner.stop())
      await runner.start()
      return runner
    },
    /** The real process. `as`: of another user. */
    async spawn(
      config: object,
      {
        args = ['run'],
        env = {},
        as = {},
      }: { args?: string[]; env?: Record<string, string>; as?: Pick<SpawnOptions, 'uid' | 'gid'> } = {},
    ) {
      const path = join(directory, 'config.json')
      await writeFile(path, source(config))
      if (as.uid !== undefined) await chown(path, as.uid, as.uid)
      const spawned = spawnMain([...args, '--config', path], env, undefined, as)
      closers.push(() => spawned.child.kill('SIGKILL'))
      return spawned
    },
  }
}

function recorder(logged: Logged[]): Log {
  const at =
    (level: string) =>
    (event: string, fields = {}) =>
      void logged.push({ level, event, fields })
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** Deadlines in the seconds that a test has. */
export function hurry(): void {
  const real = AbortSignal.timeout
  const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation(ms => real(ms / 10))
  onTestFinished(() => void timeout.mockRestore())
}

/** Resolves once the condition holds; looked at often, so that a test takes no longer than it must. */
export async function eventually(condition: () => unknown): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 5))
}

/** Resolves once nothing is in a directory. */
export async function emptied(directory: string): Promise<void> {
  while ((await readdir(directory)).length > 0) await new Promise(resolve => setTimeout(resolve, 5))
}

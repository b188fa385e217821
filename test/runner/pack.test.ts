import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { echo } from './serve.ts'
import { setup } from './setup.ts'
import { spawnMain } from './spawn.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
/** Installed commands find their Node by the path. */
const path = [dirname(process.execPath), process.env.PATH].join(delimiter)

describe('the package', () => {
  let directory: string
  let bin: string

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'infernet-pack-'))
    const packed = execFileSync(process.execPath, ['scripts/pack.ts', directory], {
      cwd: root,
      encoding: 'utf8',
    })
    const prefix = join(directory, 'prefix')
    // Packages that the cache has are not asked for again.
    const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
    execFileSync('npm', ['install', '--global', '--prefix', prefix, ...flags, packed.trim()], {
      cwd: directory,
    })
    bin = join(prefix, 'bin')
  }, 180_000)
  afterAll(() => rm(directory, { recursive: true, force: true }))

  function installed(command: string, args: string[], options: object = {}): string {
    const env = { PATH: path, HOME: directory }
    return execFileSync(join(bin, command), args, { encoding: 'utf8', env, cwd: directory, ...options })
  }

  test('default: its commands run where nothing of this project is', async () => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    expect(installed('infernet-runner', ['--version']).trim()).toBe(version)
    expect(installed('infernet', ['--help'])).toContain('create-wallet')
    const made = installed('infernet-runner', ['init', '--yes', '--edge', 'http://127.0.0.1:9'])
    expect(made).toContain('infernet-runner enrol --edge http://127.0.0.1:9')
    const doctor = () => installed('infernet-runner', ['doctor'], { stdio: ['ignore', 'pipe', 'pipe'] })
    expect(doctor).toThrow(
      expect.objectContaining({ status: 1, stdout: expect.stringContaining('FAIL  edge') }),
    )
  })

  test('behavior: its runner takes a job from an edge, with its heartbeat thread', async () => {
    const { edge, container, directory: home } = await setup()
    const { url } = await container(echo)
    const config = {
      edge: { url: edge.url, key_file: 'runner.key' },
      listen: '',
      containers: [{ id: 'one', url }],
    }
    await writeFile(join(home, 'config.json'), JSON.stringify(config))
    const main = join(bin, '../lib/node_modules/infernet-edge/bin/infernet-runner.js')
    // A folder that will never be again: what Node compiles of it is of no use to anybody.
    const env = { NODE_COMPILE_CACHE: '' }
    const runner = spawnMain(['run', '--config', join(home, 'config.json')], env, main)
    onTestFinished(() => void runner.child.kill('SIGKILL'))
    await runner.said('Runner is ready')
    const { id } = edge.enqueue({ containers: ['one'], data: '{"a": 1.0}' })
    expect((await edge.reported(id)).resultText).toBe('{"container":"one","output":{"a": 1.0}}')
    await edge.until(() => edge.seen.some(({ path: asked }) => asked === '/runner/heartbeat'))
    runner.child.kill('SIGTERM')
    expect((await runner.exited).code).toBe(0)
    expect(runner.output()).not.toContain('heartbeat thread failed')
  })

  test('behavior: a Node that is too old is told so, and nothing else', async () => {
    const preload = join(directory, 'old.cjs')
    await writeFile(preload, "Object.defineProperty(process, 'versions', { value: { node: '20.11.1' } })")
    const env = { PATH: path, NODE_OPTIONS: `--require ${preload}` }
    const old = () => installed('infernet-runner', ['--version'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    expect(old).toThrow(
      expect.objectContaining({
        status: 1,
        stderr: 'Node 20.11.1 is too old for infernet-runner: it needs 22.19.0 or newer.\n',
      }),
    )
  })

  test('behavior: it has the commands and what they need, and nothing of the edge', async () => {
    const manifest = JSON.parse(await readFile(join(directory, 'package/package.json'), 'utf8'))
    const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    for (const [name, version] of Object.entries(manifest.dependencies))
      expect(dependencies[name]).toBe(version)
    for (const edges of ['hono', 'drizzle-orm', '@libsql/client'])
      expect(manifest.dependencies).not.toHaveProperty(edges)
    expect(Object.keys(manifest.bin)).toEqual(['infernet-runner', 'infernet'])
  })
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { findEngine } from '../../src/local/containers/engine.ts'
import { chat, type Example, helloWorld, ocr } from '../../src/local/containers/examples.ts'
import { ensureImage } from '../../src/local/containers/images.ts'
import { installPackages } from '../../src/local/containers/packages.ts'
import { prepareContainers } from '../../src/local/containers/prepare.ts'
import { startProcess } from '../../src/local/containers/process.ts'
import { tar } from '../../src/local/containers/tar.ts'
import { withWeights } from '../../src/local/containers/weights.ts'
import type { Engine, EngineRequest } from '../../src/runner/docker/engine.ts'

const state = await findEngine(process.env)
if (!state.available) console.log(`tests with a Docker engine are skipped: ${state.reason}`)
afterAll(async () => {
  if (state.available) await state.engine.close()
})

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'containers-'))
  cleanups.push(() => rm(folder, { recursive: true }))
  return folder
}

describe('tar', () => {
  test('default', async () => {
    const folder = await temporaryFolder()
    const long = `${'folder/'.repeat(20)}file`
    const archive = Readable.from(
      tar([
        { path: 'a', mode: 0o755, folder: true },
        { path: 'a/b', mode: 0o644, content: Buffer.from('hello') },
        { path: long, mode: 0o755, file: process.argv[1] ?? '', bytes: 1 },
      ]),
    )
    const child = spawn('tar', ['-tvf', '-'], { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] })
    const [listing] = await Promise.all([text(child.stdout), pipeline(archive, child.stdin)])
    expect(listing.trim().split('\n')).toEqual([
      expect.stringMatching(/^drwxr-xr-x .* a\/$/),
      expect.stringMatching(/^-rw-r--r-- .* 5 .* a\/b$/),
      expect.stringMatching(new RegExp(`^-rwxr-xr-x .* 1 .* ${long}$`)),
    ])
  })

  test('behavior: refuses a path that does not fit', async () => {
    const entries = tar([{ path: 'x'.repeat(101), mode: 0o644, content: Buffer.alloc(0) }])
    await expect(entries.next()).rejects.toThrow('too long')
  })
})

describe('findEngine', () => {
  test('behavior: no socket', async () => {
    expect(await findEngine({ DOCKER_HOST: 'unix:///none/docker.sock' })).toEqual({
      available: false,
      reason: 'no Docker engine: no socket at /none/docker.sock',
    })
  })

  test('behavior: an engine elsewhere', async () => {
    expect(await findEngine({ DOCKER_HOST: 'tcp://user:hush@192.0.2.1:2375' })).toMatchObject({
      available: false,
      reason: expect.stringMatching(/^DOCKER_HOST is tcp:\/\/192\.0\.2\.1:2375; only unix:\/\//),
    })
  })

  test('behavior: nobody behind the socket', async () => {
    const path = join(await temporaryFolder(), 'docker.sock')
    await writeFile(path, '')
    expect(await findEngine({ DOCKER_HOST: `unix://${path}` })).toMatchObject({
      available: false,
      reason: expect.stringContaining('nothing listens'),
    })
  })

  test('behavior: something else behind the socket', async () => {
    const { path } = await fakeEngine((request, respond) =>
      respond(request.url === '/version' ? 500 : 404, {}),
    )
    expect(await findEngine({ DOCKER_HOST: `unix://${path}` })).toMatchObject({
      available: false,
      reason: expect.stringContaining('it answered 500'),
    })
  })
})

type Respond = (status: number, body: unknown) => void

/** A Docker engine of which only the answers under test exist, on a real socket. */
async function fakeEngine(
  answer: (request: IncomingMessage, respond: Respond) => unknown,
): Promise<{ path: string; server: Server }> {
  const path = join(await temporaryFolder(), 'docker.sock')
  const server = createServer((request, response) => {
    answer(request, (status, body) => response.writeHead(status).end(JSON.stringify(body)))
  }).listen(path)
  await once(server, 'listening')
  cleanups.push(async () => {
    server.closeAllConnections()
    server.close()
  })
  return { path, server }
}

describe('ensureImage with a registry', () => {
  /** An engine that can see the parent image, has none of ours, and answers a build with `lines`. */
  async function setup(lines: unknown[]) {
    const builds: { query: URLSearchParams; archive: string }[] = []
    const { path } = await fakeEngine(async (request, respond) => {
      const url = new URL(request.url ?? '', 'http://docker')
      if (url.pathname === '/version')
        return respond(200, { Version: '99.1', ApiVersion: '1.52', MinAPIVersion: '1.44' })
      if (url.pathname === '/v1.44/distribution/node:22-slim/json') return respond(200, {})
      if (url.pathname !== '/v1.44/build') return respond(404, { message: 'no such image' })
      builds.push({ query: url.searchParams, archive: await text(request) })
      return respond(200, lines[builds.length - 1] ?? {})
    })
    const found = await findEngine({ DOCKER_HOST: `unix://${path}` })
    if (!found.available) throw new Error(found.reason)
    cleanups.push(() => found.engine.close())
    return { engine: found.engine, builds }
  }

  test('default', async () => {
    const { engine, builds } = await setup([])
    const log = vi.fn()
    await ensureImage(engine, ocr, log)
    expect(builds).toHaveLength(1)
    expect(builds[0]?.query.get('t')).toBe('infernet-edge/ocr:local')
    expect(builds[0]?.archive).toContain('RUN npm ci --omit=dev --ignore-scripts')
    expect(builds[0]?.archive).not.toContain('node_modules/sharp/package.json')
    expect(log.mock.calls.flat()).toEqual([
      'infernet-edge/ocr:local: building its Dockerfile',
      expect.stringMatching(/^infernet-edge\/ocr:local: built in/),
    ])
  })

  test('behavior: weights that are here go with the Dockerfile', async () => {
    const { engine, builds } = await setup([])
    const ready = await withWeights(chat, () => {})
    await ensureImage(engine, ready, () => {})
    expect(builds[0]?.archive).toContain('models/tiny-random.gguf')
    expect(builds[0]?.archive).toContain('GGUF')
    const other = { name: 'other', path: `${ready.weights?.path}`, sha256: 'other' }
    await ensureImage(engine, { ...ready, weights: other }, () => {})
    const labels = builds.map(({ query }) => query.get('labels'))
    expect(new Set(labels).size).toBe(2)
  })

  test.runIf(process.platform === 'linux')(
    'behavior: a failing Dockerfile leads to a build on the spot',
    async () => {
      const { engine, builds } = await setup([{ error: 'RUN failed' }])
      const log = vi.fn()
      await ensureImage(engine, helloWorld, log)
      expect(log.mock.calls.flat()).toContainEqual(
        expect.stringContaining('RUN failed; building it on the spot'),
      )
      expect(builds.map(({ query }) => query.get('t'))).toEqual([
        'infernet-edge/hello-world:local',
        'infernet-edge/node:local',
        'infernet-edge/hello-world:local',
      ])
    },
  )
})

describe('installPackages', () => {
  async function setup(): Promise<Example> {
    const folder = await temporaryFolder()
    const name = `example-${process.pid}-${Math.random()}`
    const root = { name, version: '1.0.0', dependencies: { part: 'file:part' } }
    const part = { name: 'part', version: '1.0.0' }
    await mkdir(join(folder, 'part'))
    await writeFile(join(folder, 'part/package.json'), JSON.stringify(part))
    await writeFile(join(folder, 'package.json'), JSON.stringify(root))
    const packages = { '': root, part, 'node_modules/part': { resolved: 'part', link: true } }
    const lock = { name, version: '1.0.0', lockfileVersion: 3, requires: true, packages }
    await writeFile(join(folder, 'package-lock.json'), JSON.stringify(lock))
    return { ...ocr, id: name, folder }
  }

  test('default', async () => {
    const example = await setup()
    const log = vi.fn()
    await Promise.all([installPackages(example, log), installPackages(example, log)])
    expect(log.mock.calls.flat()).toEqual([
      expect.stringContaining('installing'),
      expect.stringMatching(/installed in \d+\.\d s$/),
    ])
    await installPackages(example, log)
    expect(log).toHaveBeenCalledTimes(2)
  })

  test('behavior: a newer lock file is installed again', async () => {
    const example = await setup()
    await installPackages(example, () => {})
    await utimes(join(example.folder, 'node_modules/.package-lock.json'), 0, 0)
    const log = vi.fn()
    await installPackages(example, log)
    expect(log).toHaveBeenCalledTimes(2)
  })

  test('behavior: says why it failed', async () => {
    const example = await setup()
    await writeFile(join(example.folder, 'package-lock.json'), '{')
    await expect(installPackages(example, () => {})).rejects.toThrow(
      /npm ci for example-.* ended with 1: npm error/,
    )
  })
})

describe('startProcess', () => {
  test('default', async () => {
    const container = await startProcess(helloWorld, () => {})
    expect((await fetch(`${container.url}/health`)).status).toBe(200)
    await container.close()
    await expect(fetch(`${container.url}/health`)).rejects.toThrow()
  })

  test('behavior: hands none of its environment over', async () => {
    vi.stubEnv('PRIVATE_KEY', 'secret')
    const container = await startProcess(helloWorld, () => {})
    cleanups.push(container.close, async () => vi.unstubAllEnvs())
    if (process.platform !== 'linux') return
    expect(await readFile(`/proc/${container.pid}/environ`, 'utf8')).not.toContain('secret')
  })

  test('behavior: says when the container ends at once', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'server.js'), 'process.exit(3)')
    const failing = { ...helloWorld, id: 'failing', folder }
    await expect(startProcess(failing, () => {})).rejects.toMatchObject({
      cause: { message: 'it ended at once' },
    })
  })

  test('behavior: ends when its parent is killed', async () => {
    const module = new URL('../../src/local/containers/', import.meta.url)
    const code = `
      const { startProcess } = await import('${new URL('process.ts', module)}')
      const { helloWorld } = await import('${new URL('examples.ts', module)}')
      console.log((await startProcess(helloWorld, () => {})).url)
      setInterval(() => {}, 1000)`
    const parent = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = await once(parent.stdout, 'data')
    const url = String(line).trim()
    expect((await fetch(`${url}/health`)).status).toBe(200)
    parent.kill('SIGKILL')
    await vi.waitFor(() => expect(fetch(`${url}/health`)).rejects.toThrow(), { timeout: 5000 })
  })
})

describe('prepareContainers', () => {
  test('behavior: without Docker they run as processes', async () => {
    const prepared = await prepareContainers({ docker: 'off', log: () => {} })
    cleanups.push(prepared.close)
    expect(prepared.docker).toEqual({ available: false, reason: 'Docker is switched off' })
    expect(prepared.containers).toMatchObject([
      { id: 'hello-world', kind: 'process' },
      { id: 'clock', kind: 'process' },
      { id: 'factor', kind: 'process', proves: true },
      { id: 'ocr', kind: 'process' },
      {
        id: 'chat',
        kind: 'process',
        model: 'tiny-random',
        openai: true,
        description: 'Answers in a chat, token by token (tiny-random, CPU)',
      },
    ])
    for (const container of prepared.containers) {
      if (container.kind !== 'process') throw new Error('not a process')
      expect((await fetch(`${container.url}/health`)).status).toBe(200)
    }
  }, 180_000)
})

test.runIf(process.env.CI === 'true')('a Docker engine is reachable', () => {
  expect(state).toMatchObject({ available: true })
})

describe.skipIf(!state.available)('with a Docker engine', () => {
  let engine: Engine
  beforeAll(async () => {
    if (!state.available) throw new Error(state.reason)
    engine = state.engine
    const prepared = await prepareContainers({ docker: 'auto', log: console.log })
    expect(prepared.containers).toMatchObject([
      { id: 'hello-world', kind: 'image', image: 'infernet-edge/hello-world:local' },
      { id: 'clock', kind: 'image', image: 'infernet-edge/clock:local' },
      { id: 'factor', kind: 'image', image: 'infernet-edge/factor:local' },
      { id: 'ocr', kind: 'image', image: 'infernet-edge/ocr:local' },
      { id: 'chat', kind: 'image', image: 'infernet-edge/chat:tiny-random', model: 'tiny-random' },
    ])
  }, 240_000)

  async function call<Answer>(method: EngineRequest['method'], path: string, body?: object): Promise<Answer> {
    const response = await engine.send({ method, path, ...(body && { body }) })
    const answer = await response.body.text()
    return (answer ? JSON.parse(answer) : undefined) as Answer
  }

  /** Runs an image as narrowly as a runner may: no capabilities, nothing writable but /tmp. */
  async function start(image: string): Promise<string> {
    const { Id: id } = await call<{ Id: string }>('POST', '/containers/create', {
      Image: image,
      HostConfig: {
        PortBindings: { '3000/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] },
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges'],
        ReadonlyRootfs: true,
        Tmpfs: { '/tmp': '' },
        Memory: 2 ** 30,
        PidsLimit: 100,
      },
    })
    cleanups.push(() => call('DELETE', `/containers/${id}?force=1`))
    await call('POST', `/containers/${id}/start`)
    type Details = { NetworkSettings: { Ports: Record<string, { HostPort: string }[]> } }
    const details = await call<Details>('GET', `/containers/${id}/json`)
    const url = `http://127.0.0.1:${details.NetworkSettings.Ports['3000/tcp']?.[0]?.HostPort}`
    await vi.waitFor(async () => expect((await fetch(`${url}/health`)).status).toBe(200), {
      timeout: 20_000,
      interval: 20,
    })
    return url
  }

  async function ask(url: string, data: unknown): Promise<unknown> {
    const body = JSON.stringify({ source: 1, destination: 1, data, requires_proof: false })
    const response = await fetch(`${url}/service_output`, { method: 'POST', body })
    return await response.json()
  }

  test('behavior: hello-world answers', async () => {
    const url = await start('infernet-edge/hello-world:local')
    expect(await ask(url, {})).toEqual({
      output: 'hello, world!, your input was: {"source":1,"destination":1,"data":{},"requires_proof":false}',
    })
  })

  test('behavior: ocr reads the sample', async () => {
    const url = await start('infernet-edge/ocr:local')
    const image = (await readFile(`${ocr.folder}/sample.png`)).toString('base64')
    expect(await ask(url, { image })).toMatchObject({
      text: expect.stringContaining('Number 4725\n'),
    })
  })

  test('behavior: chat streams an answer', async () => {
    const url = await start('infernet-edge/chat:tiny-random')
    const data = { prompt: 'Hello', max_tokens: 50, seed: 1 }
    const { text, model } = (await ask(url, data)) as { text: string; model: string }
    expect(model).toBe('tiny-random')
    const body = JSON.stringify({ source: 1, destination: 2, data, requires_proof: false })
    const response = await fetch(`${url}/service_output`, { method: 'POST', body })
    expect(await response.text()).toBe(text)
  })

  test('behavior: images that are up to date are not built again', async () => {
    const log = vi.fn()
    const prepared = await prepareContainers({ docker: 'auto', log })
    expect(prepared.docker).toMatchObject({ available: true, version: expect.any(String) })
    expect(log.mock.calls.flat().slice(1)).toEqual([
      expect.stringContaining('up to date'),
      expect.stringContaining('up to date'),
      expect.stringContaining('up to date'),
      expect.stringContaining('up to date'),
      expect.stringContaining('up to date'),
    ])
  })
})

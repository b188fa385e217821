import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import type { Config } from '../../src/runner/config/config.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import { createEngine } from '../../src/runner/docker/engine.ts'
import { type EnsuredImage, ensureImage } from '../../src/runner/docker/image.ts'
import { scopeOf } from '../../src/runner/docker/scope.ts'
import { docker, reachable, removeContainers } from './docker.ts'
import { startRegistry } from './registry.ts'
import { eventually, setup as setUpRunner } from './setup.ts'

/** Pulls by a real engine, from a registry of our own that wants a password. */
describe.skipIf(!reachable)('pulls', () => {
  async function setup() {
    const registry = await startRegistry({ username: 'me', password: 'pass:word' })
    const directory = await mkdtemp(join(tmpdir(), 'infernet-pull-'))
    const engine = createEngine(process.env.DOCKER_HOST)
    const image = `${registry.host}/thing:1`
    onTestFinished(async () => {
      registry.close()
      await engine.close()
      await rm(directory, { recursive: true })
      if (docker(['images', '-q', image]) !== '') docker(['rmi', '-f', image])
    })
    const logged: object[] = []
    const say = (_: string, fields: object = {}) => void logged.push(fields)

    return {
      registry,
      logged,
      image,
      directory,
      async ensure(more: object = {}): Promise<EnsuredImage> {
        const containers = [{ id: 'one', image, pull_timeout: 20, pull: 'always' }]
        const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, containers, ...more })
        const { config } = parseConfig(source, { path: '/config.json', env: { DOCKER_CONFIG: directory } })
        const [container] = config.containers
        if (container === undefined) throw new Error('No container')
        return await ensureImage(engine, {
          container,
          config,
          log: { debug: say, info: say, warn: say, error: say },
          onProgress: () => {},
          signal: AbortSignal.timeout(25_000),
        })
      },
    }
  }

  test('default: with credentials of the configuration; the image is named by its digest in the registry', async () => {
    const { registry, ensure, image } = await setup()
    const ensured = await ensure({ docker: { username: 'me', password: 'pass:word' } })
    expect(ensured).toEqual({
      id: docker(['inspect', '-f', '{{.Id}}', image]),
      name: `${registry.host}/thing@${registry.digest}`,
    })
  })

  test("behavior: with those of `docker login`, by registry, where the configuration has none; else the registry's words", async () => {
    const { registry, directory, ensure } = await setup()
    const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') })
    await expect(ensure()).rejects.toMatchObject({
      code: 'image_pull_failed',
      cause: { message: expect.stringMatching(/no basic auth credentials|unauthorized/) },
    })
    const auths = {
      'other.example.com': auth('you:no'),
      [`https://${registry.host}/v2/`]: auth('me:pass:word'),
    }
    await writeFile(join(directory, 'config.json'), JSON.stringify({ auths }))
    expect((await ensure()).name).toContain(registry.digest)
  })

  test('behavior: with those that a credential helper keeps; one that fails is told of, and the pull is tried without', async () => {
    const { registry, directory, ensure, logged } = await setup()
    vi.stubEnv('PATH', `${directory}:${process.env.PATH}`)
    onTestFinished(() => void vi.unstubAllEnvs())
    await writeFile(join(directory, 'config.json'), JSON.stringify({ credsStore: 'kept' }))
    const words = /no basic auth credentials|unauthorized/
    await expect(ensure()).rejects.toMatchObject({ cause: { message: expect.stringMatching(words) } })
    expect(logged).toContainEqual({
      image: `${registry.host}/thing:1`,
      error: 'docker-credential-kept is not installed',
    })
    const answer = JSON.stringify({ ServerURL: registry.host, Username: 'me', Secret: 'pass:word' })
    const program = join(directory, 'docker-credential-kept')
    await writeFile(program, `#!/bin/sh\necho '${answer}'\n`, { mode: 0o755 })
    expect((await ensure()).name).toContain(registry.digest)
    expect(JSON.stringify(logged)).not.toContain('pass:word')
  })

  test('behavior: a pull that takes too long, and none of a local copy', async () => {
    const { registry, ensure } = await setup()
    registry.state.hangs = true
    const config = { docker: { username: 'me', password: 'pass:word' } }
    const late = {
      ...config,
      containers: [{ id: 'one', image: `${registry.host}/thing:1`, pull_timeout: 0.7 }],
    }
    await expect(ensure(late)).rejects.toMatchObject({
      code: 'image_pull_failed',
      cause: { message: 'it took longer than 0.7 s' },
    })
    registry.state.hangs = false
    const { id } = await ensure(config)
    registry.close()
    expect((await ensure(config)).id).toBe(id)
  })

  test('behavior: whoever watches a slow one sees how far it is: in the status, in the log, and at the edge', async () => {
    const credentials = { username: 'me', password: 'pass:word' }
    const registry = await startRegistry({ ...credentials, layerBytes: 32 * 1024 * 1024 })
    const image = `${registry.host}/thing:1`
    const { embed, edge, logged, directory } = await setUpRunner()
    const scope = scopeOf({ spool: { directory: join(directory, '.infernet-runner') } } as Config)
    registry.state.isSlow = true
    const runner = await embed({
      manage_containers: true,
      docker: credentials,
      containers: [{ id: 'one', image, port: await freePort() }],
    })
    onTestFinished(async () => {
      registry.close()
      await runner.stop()
      await removeContainers([scope])
      if (docker(['images', '-q', image]) !== '') docker(['rmi', '-f', image])
    })
    const told = /^pulling its image: \d+ of 32 MiB$/
    const inStatus = () => runner.status()?.containers.find(({ id }) => id === 'one')?.detail ?? ''
    const atEdge = () => edge.health().find(({ id }) => id === 'one')?.detail ?? ''
    await eventually(() => told.test(inStatus()) && told.test(atEdge()))
    const progress = logged.filter(({ event, fields }) => event === 'Pulling image' && 'mib' in fields)
    expect(progress[0]?.fields).toEqual({ image, mib: expect.any(Number), total_mib: 32 })
    const { mib } = progress[0]?.fields ?? {}
    expect(mib).toBeGreaterThan(0)
    expect(mib).toBeLessThan(32)

    registry.state.isSlow = false
    await eventually(() => logged.some(({ event }) => event === 'Pulled image'))
    expect(docker(['images', '-q', image])).not.toBe('')
  })
})

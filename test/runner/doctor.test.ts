import { chmod, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import type { Host } from '../../src/runner/confine/host.ts'
import { createEngine } from '../../src/runner/docker/engine.ts'
import { scopeOf } from '../../src/runner/docker/scope.ts'
import { label, nameOf } from '../../src/runner/docker/spec.ts'
import { dockerChecks } from '../../src/runner/doctor/docker.ts'
import { clockCheck } from '../../src/runner/doctor/edge.ts'
import { examine, lineOf } from '../../src/runner/doctor/examine.ts'
import { gpuChecks } from '../../src/runner/doctor/gpu.ts'
import { isolationChecks } from '../../src/runner/doctor/isolation.ts'
import { adminToken, startTestEdge } from '../support/edge.ts'
import { startFakeEngine } from './fake-engine.ts'
import { gpuLine, startFakeSmi, uuidOf } from './gpu/fake-smi.ts'
import { echo } from './serve.ts'
import { setup } from './setup.ts'

/** Lines as `[ok or FAIL, name, what]`. */
function linesOf(output: string): string[][] {
  return output
    .trim()
    .split('\n')
    .map(line => [line.slice(0, 4).trim(), line.slice(6, 17).trim(), line.slice(19)])
}

/** Containers c0, c1, ... */
function configOf(entries: object[], root: object = {}) {
  const containers = entries.map((entry, index) => ({ id: `c${index}`, image: 'i', ...entry }))
  const source = { edge: { url: 'http://edge', key_file: 'k' }, containers, ...root }
  return parseConfig(JSON.stringify(source), { path: 'config.json', env: {} }).config
}

/** A Docker engine that answers what it is given, by path, and 404 to the rest. */
async function fakeEngine(answers: Record<string, object>): Promise<string> {
  const all: Record<string, object> = { '/version': { Version: '20.10.0', ApiVersion: '1.41' }, ...answers }
  const server = createServer((request, response) => {
    const answer = all[(request.url ?? '').replace(/^\/v1\.\d+/, '')]
    response.writeHead(answer ? 200 : 404).end(JSON.stringify(answer ?? { message: 'no such thing' }))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('doctor', () => {
  test('default: all is well with a real edge that knows the host, and not before', async () => {
    await using edge = await startTestEdge()
    const { spawn, container, key } = await setup()
    const { url } = await container(echo)
    const config = {
      edge: { url: edge.url, key_file: 'runner.key' },
      spool_max_bytes: 2 ** 20,
      containers: [{ id: 'one', url }],
    }
    const doctor = async () => {
      const { exited, output } = await spawn(config, { args: ['doctor'] })
      return { ...(await exited), lines: linesOf(output()) }
    }
    const before = await doctor()
    expect(before.code).toBe(1)
    const bad = before.lines.filter(([how]) => how === 'FAIL')
    expect(bad.map(([, name]) => name)).toEqual(['enrolment'])
    expect(bad[0]?.[2]).toContain(`Fix: enrol it: \`enrol --name NAME --public-key ${key.publicKey}\``)

    const enrolled = await edge.request('/admin/runners', {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'host', public_key: key.publicKey }),
    })
    expect(enrolled.status).toBe(200)
    const after = await doctor()
    expect(after.code).toBe(0)
    expect(after.lines.map(([how, name]) => `${how} ${name}`)).toEqual(
      ['config', 'key', 'edge', 'clock', 'enrolment', 'spool', 'container'].map(name => `ok ${name}`),
    )
  })

  test('behavior: each thing that is wrong is told with what to do', async () => {
    const { spawn, edge, directory } = await setup()
    await chmod(join(directory, 'runner.key'), 0o640)
    edge.state.fault = () => ({ status: 502 })
    const port = await freePort()
    const blocker = createServer()
    await new Promise<void>(resolve => blocker.listen(port, '127.0.0.1', resolve))
    onTestFinished(() => void blocker.close())
    const config = {
      manage_containers: true,
      spool_max_bytes: 2 ** 50,
      containers: [
        { id: 'one', image: 'org/absent:1', port, gpu: true },
        { id: 'two', image: 'org/here:1', port: await freePort() },
        { id: 'far', url: `http://127.0.0.1:${await freePort()}`, bearer: 'hush' },
      ],
    }
    const DOCKER_HOST = await fakeEngine({
      '/images/org/here:1/json': { Id: 'sha256:1' },
      '/info': { DockerRootDir: '/nowhere/docker', Runtimes: { runc: {} } },
    })
    const { exited, output } = await spawn(config, { args: ['doctor'], env: { DOCKER_HOST } })
    expect((await exited).code).toBe(1)
    const told = linesOf(output()).map(
      ([how, name, what = '']) => `${how} ${name}: ${what.split(/[:.] /)[0]}`,
    )
    expect(told).toEqual([
      'ok config: 3 containers; limits.memory is not set for one, two',
      `FAIL config: ${join(directory, 'config.json')} has mode 644`,
      `FAIL key: ${join(directory, 'runner.key')} has mode 640`,
      `FAIL edge: ${edge.url}/health answers 502`,
      expect.stringMatching(/^(ok|FAIL) clock/),
      'FAIL enrolment: Not known',
      expect.stringMatching(/^FAIL spool: Only .* free for/),
      'ok docker: engine 20.10.0 answers',
      'FAIL image: one',
      'ok image: two',
      'FAIL port: one',
      'ok port: two',
      'ok docker disk: /nowhere/docker cannot be seen from here',
      'FAIL gpu: Docker has no nvidia runtime, and containers want GPUs',
      'ok gpu: one',
      'FAIL isolation: one',
      'FAIL container: far',
    ])
    for (const line of output()
      .trim()
      .split('\n')
      .filter(text => text.startsWith('FAIL')))
      expect(line).toMatch(/\. Fix: \S.*\.$/)
  })

  test('behavior: no engine, and a configuration that cannot be used', async () => {
    const { spawn, directory } = await setup()
    const config = {
      manage_containers: true,
      containers: [{ id: 'one', image: 'i', port: await freePort() }],
    }
    const env = { DOCKER_HOST: `unix://${join(directory, 'no.sock')}` }
    const { exited, output } = await spawn(config, { args: ['doctor'], env })
    expect((await exited).code).toBe(1)
    expect(output()).toContain(`No engine answers at ${env.DOCKER_HOST}: connect ENOENT`)
    const secret = { DOCKER_HOST: `tcp://user:hush@127.0.0.1:${await freePort()}` }
    const refused = await spawn(config, { args: ['doctor'], env: secret })
    await refused.exited
    expect(refused.output()).toContain(
      `No engine answers at ${secret.DOCKER_HOST.replace('user:hush@', '')}: `,
    )
    expect(refused.output()).not.toContain('hush')
    const bad = await spawn({ slots: 0, timeout: -1 }, { args: ['doctor'] })
    expect((await bad.exited).code).toBe(1)
    expect(linesOf(bad.output()).map(line => line.slice(0, 2).join(' '))).toEqual([
      'FAIL config',
      'FAIL config',
    ])
    await writeFile(join(directory, 'runner.key'), 'no key')
    const keyless = await spawn({}, { args: ['doctor'] })
    await keyless.exited
    expect(keyless.output()).toMatch(/FAIL {2}key .*is not an Ed25519 private key.* Fix: make a key with/)
  })

  test('behavior: a clock that is off is told with how much', async () => {
    const { edge } = await setup()
    const config = { edge: { url: edge.url, audience: edge.url, keyFile: '' } }
    const ahead = await clockCheck({ config, now: () => Date.now() + 60_000 }).run()
    expect(ahead).toMatchObject({
      ok: false,
      detail: expect.stringMatching(/^This host's clock is \d\d s ahead of/),
    })
    const behind = await clockCheck({ config, now: () => Date.now() - 60_000 }).run()
    expect(behind).toMatchObject({ ok: false, detail: expect.stringMatching(/\d\d s behind the edge's$/) })
    expect(await clockCheck({ config }).run()).toMatchObject({ ok: true })
  })

  test('behavior: a credential helper that fails is told where its image cannot be had, and not where it can', async () => {
    const { directory } = await setup()
    await writeFile(join(directory, 'config.json'), JSON.stringify({ credsStore: 'absent' }))
    const engine = createEngine(await fakeEngine({ '/distribution/open:1/json': {} }))
    onTestFinished(() => engine.close())
    const containers = ['closed:1', 'open:1'].map(image => ({ id: image.replace(':', '-'), image }))
    const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'k' }, containers })
    const { config } = parseConfig(source, { path: 'config.json', env: { DOCKER_CONFIG: directory } })
    const checks = dockerChecks({ config, engine, dockerHost: undefined }).filter(
      ({ name }) => name === 'image',
    )
    const told = (await examine(checks)).map(({ detail }) => detail)
    expect(told).toEqual([
      'closed-1: closed:1 is neither here nor to be had: no such thing; docker-credential-absent is not installed',
      'open-1: open:1 can be pulled',
    ])
  })

  test('behavior: ports that containers of this runner have are well, wherever the file has them stand by now', async () => {
    const fake = await startFakeEngine()
    const engine = createEngine(fake.dockerHost)
    onTestFinished(() => engine.close())
    const [first, second, third, random, theirs] = await Promise.all(Array.from({ length: 5 }, freePort))
    const wanted = configOf(Array.from({ length: 3 }, () => ({ port: first })))
    // In place of 3999 and 3998, which anybody on this host may have.
    const given = [first, second, third]
    const containers = wanted.containers.map((one, at) => ({ ...one, port: given[at] ?? 0 }))
    const config = { ...wanted, containers }
    const scope = scopeOf(config)
    const run = (id: string, port = 0) =>
      fake.run(
        nameOf(scope, id),
        { [label.scope]: scope, [label.container]: id, [label.port]: String(port) },
        { PortBindings: { '3000/tcp': [{ HostPort: String(port) }] } },
      )
    const told = async () => {
      const checks = dockerChecks({ config, engine, dockerHost: undefined })
      const found = await examine(checks.filter(({ name }) => name === 'port'))
      return found.map(({ ok, detail }) => `${ok ? 'ok' : 'FAIL'} ${detail}`)
    }
    // c1 has come between them.
    await run('c0', first)
    await run('c2', second)
    expect(await told()).toEqual([
      `ok c0: ${first} is its container's`,
      `ok c1: ${second} is another container's, so that it gets a free one`,
      `ok c2: ${second} is its container's`,
    ])
    await run('c1', random)
    expect((await told())[1]).toBe(`ok c1: ${random} is its container's`)
    // The second one was the first once.
    await fake.end(nameOf(scope, 'c0'))
    await fake.end(nameOf(scope, 'c1'))
    await run('c0', theirs)
    await run('c1', first)
    expect(await told()).toEqual([
      `ok c0: ${theirs} is its container's`,
      `ok c1: ${first} is its container's`,
      `ok c2: ${second} is its container's`,
    ])
    // A stranger's is not.
    await fake.end(nameOf(scope, 'c1'))
    await run('c1', random)
    const stranger = createServer()
    await new Promise<void>(resolve => stranger.listen(first, '127.0.0.1', resolve))
    onTestFinished(() => void stranger.close())
    expect((await told())[0]).toBe(`FAIL c0: port ${first} is taken, so that it has ${theirs}`)
    await fake.end(nameOf(scope, 'c0'))
    expect((await told())[0]).toBe(`FAIL c0: port ${first} is taken, so that it will get another one`)
  })

  test('behavior: an engine with the nvidia runtime is well, and GPUs that nobody wants are not looked at', async () => {
    const dockerHost = await fakeEngine({ '/info': { Runtimes: { runc: {}, nvidia: {} } } })
    const engine = createEngine(dockerHost)
    onTestFinished(() => engine.close())
    expect(gpuChecks({ config: configOf([{ gpu: false }]), engine, dockerHost })).toEqual([])
    const [check] = gpuChecks({ config: configOf([{ gpu: true }]), engine, dockerHost })
    expect(await check?.run()).toMatchObject({ ok: true })
  })

  test('behavior: of GPUs it tells who gets which, and what is not there, as the runner would', async () => {
    const smi = await startFakeSmi([gpuLine(0), gpuLine(1, { name: 'NVIDIA L4' })])
    const engine = createEngine(undefined)
    onTestFinished(() => engine.close())
    let inDocker = false
    const told = async (...wishes: unknown[]) => {
      const config = { ...configOf(wishes.map(gpu => ({ gpu }))), inDocker }
      const [, ...checks] = gpuChecks({ config, engine, dockerHost: undefined })
      return (await examine(checks)).map(({ ok, detail }) => `${ok ? 'ok' : 'FAIL'} ${detail}`)
    }
    expect(await told([1], { count: 1 }, { count: 2 }, true)).toEqual([
      'ok c0: GPU 1 (NVIDIA L4)',
      'ok c1: GPU 0 (NVIDIA H100 80GB HBM3)',
      "FAIL c2: It wants 2 of this host's GPUs for itself, and 0 are free",
      'ok c3: GPU 0 (NVIDIA H100 80GB HBM3), GPU 1 (NVIDIA L4)',
    ])
    expect(await told('7')).toEqual(['FAIL c0: This host has no GPU 7'])
    await smi.says([gpuLine(0, { rest: '[GPU is lost], 0, 0, 0' })])
    expect(await told(true)).toEqual([`FAIL c0: ${uuidOf(0)}: GPU is lost`])
    await smi.does('echo "Driver/library version mismatch"; exit 18')
    expect(await told(true)).toEqual([
      'FAIL c0: nvidia-smi has ended with 18: Driver/library version mismatch',
    ])
    inDocker = true
    await smi.says([gpuLine(0)])
    expect(await told({ count: 1 })).toEqual(['ok c0: GPU 0 (NVIDIA H100 80GB HBM3)'])
    await rm(join(smi.directory, 'nvidia-smi'))
    expect(await told([0], { count: 1 })).toEqual([
      'ok c0: as Docker knows them',
      expect.stringMatching(/^FAIL c1: Which GPUs are free cannot be seen from here: name those/),
    ])
  })

  test('behavior: isolation that is not kept is a failure, asked for or by default, unless nobody wants it', async () => {
    const host = (unusual: Partial<Host> = {}): Host => ({
      platform: 'linux',
      uid: 1000,
      mayChangeNetwork: true,
      dockerHost: null,
      tables: [{ family: 4, layer: 'filter', save: async () => '', restore: async () => {} }],
      nameservers: async () => [],
      hasInterface: async () => true,
      realPath: path => path,
      ...unusual,
    })
    const told = async (entries: object[], unusual: Partial<Host> = {}, root: object = {}) => {
      const config = configOf(entries, root)
      const checks = isolationChecks({ config, engine, dockerHost: undefined }, host(unusual))
      const [found] = await examine(checks)
      return found
    }
    const bridge = {
      Id: 'network-1',
      Name: 'bridge',
      Options: { 'com.docker.network.bridge.name': 'docker0' },
    }
    const engine = createEngine(await fakeEngine({ '/networks/bridge': bridge }))
    onTestFinished(() => engine.close())
    expect(await told([{ url: 'http://far' }])).toBeUndefined()
    expect(await told([{}])).toMatchObject({ ok: true, detail: 'containers are kept in their place' })
    const notRoot = { mayChangeNetwork: false }
    const what = 'egress "public" is not kept: the runner (its user is 1000) may not set firewall rules'
    for (const root of [{}, { require_isolation: true }])
      expect(await told([{}], notRoot, root)).toMatchObject({
        ok: false,
        detail: `c0: ${what}`,
        fix: expect.stringContaining('CAP_NET_ADMIN'),
      })
    expect(await told([{}, {}], notRoot, { egress: 'open' })).toMatchObject({ ok: true })
    expect(await told([{ egress: 'none' }, {}], notRoot)).toMatchObject({
      ok: false,
      detail: expect.stringContaining('c0: egress "none" is not kept'),
    })
    const hasInterface = async (name: string) => name !== 'docker0'
    expect(await told([{}], { hasInterface })).toMatchObject({
      ok: false,
      detail: 'c0: egress "public" is not kept: Docker\'s bridges are not in the runner\'s own network',
    })
    const save = async () => {
      throw new Error('iptables-save is not installed')
    }
    expect(
      await told([{ egress: 'public' }], {
        tables: [{ family: 4, layer: 'filter', save, restore: async () => {} }],
      }),
    ).toMatchObject({
      ok: false,
      detail: 'c0: egress "public" is not kept: iptables-save is not installed',
    })
  })

  test('behavior: a finding is one line, whatever an engine says', () => {
    expect(lineOf({ name: 'image', ok: false, detail: 'one\n  two.', fix: 'three' })).toBe(
      'FAIL  image        one two. Fix: three.',
    )
  })
})

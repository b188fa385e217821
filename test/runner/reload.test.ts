import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { link, open, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import type { Config } from '../../src/runner/config/config.ts'
import { mayChangeNetwork } from '../../src/runner/confine/capability.ts'
import { scopeOf } from '../../src/runner/docker/scope.ts'
import { nameOf } from '../../src/runner/docker/spec.ts'
import { buildImage, docker, reachable, removeContainers } from './docker.ts'
import { echo } from './serve.ts'
import { eventually, setup } from './setup.ts'

/** The configuration is read again at SIGHUP: the real process, in front of a real engine where containers are its own. */
const image = `infernet-runner-reload:${process.pid}`
const program = readFileSync(fileURLToPath(new URL('./program.js', import.meta.url)), 'utf8')
const started = new Set<string>()

/** A process, and its configuration written anew. */
async function run(config: object) {
  const kit = await setup()
  const { DOCKER_HOST } = process.env
  const spawned = await kit.spawn(config, { env: DOCKER_HOST === undefined ? {} : { DOCKER_HOST } })
  const scope = scopeOf({ spool: { directory: join(kit.directory, '.infernet-runner') } } as Config)
  started.add(scope)
  const { edge } = kit
  return {
    ...kit,
    ...spawned,
    name: (id: string) => nameOf(scope, id),
    async reload(next: object | string) {
      const path = join(kit.directory, 'config.json')
      const edgeKeys = { edge: { url: edge.url, key_file: 'runner.key' }, manage_containers: false }
      await writeFile(path, typeof next === 'string' ? next : JSON.stringify({ ...edgeKeys, ...next }))
      spawned.child.kill('SIGHUP')
    },
    job: (container: string, data: object) =>
      edge.enqueue({ containers: [container], data: JSON.stringify(data) }).id,
    async result(id: string) {
      return JSON.parse((await edge.reported(id)).resultText)
    },
    health: (id: string) => edge.health().find(container => container.id === id)?.health,
    registered: () =>
      edge.seen
        .filter(({ path }) => path === '/runner/register')
        .map(({ body }) => (body as { containers: { id: string }[] }).containers.map(({ id }) => id)),
  }
}

describe('reload', () => {
  test('behavior: containers come and go; what the edge knows of them is told anew', async () => {
    const { child, container, job, result, health, registered, reload } = await run({ containers: [] })
    const { url } = await container(echo)
    await eventually(() => registered().length > 0)
    await reload({ containers: [{ id: 'one', url }] })
    expect(await result(job('one', { x: 1 }))).toEqual({ container: 'one', output: { x: 1 } })
    expect(registered().at(-1)).toEqual(['one'])
    await reload({ containers: [{ id: 'two', url, slots: 3 }] })
    await eventually(() => health('one') === undefined && health('two') === 'ready')
    expect(await result(job('two', { x: 2 }))).toEqual({ container: 'two', output: { x: 2 } })
    expect(registered().at(-1)).toEqual(['two'])
    const held = await container(() => {})
    const before = registered().length
    await reload({ containers: [{ id: 'two', url: held.url, slots: 3 }] })
    await eventually(() => registered().length === before + 1)
    const endless = job('two', {})
    await eventually(() => held.calls.length === 1)
    await reload({ containers: [{ id: 'two', url, slots: 3 }] })
    await eventually(() => registered().length === before + 2)
    expect(await result(job('two', { x: 3 }))).toEqual({ container: 'two', output: { x: 3 } })
    held.close()
    expect(await result(endless)).toMatchObject({ code: 'connection_lost' })
    child.kill('SIGTERM')
  })

  test('behavior: labels and what the host is judged by are those of the last configuration', async () => {
    const { edge, container, reload, said, job, result } = await run({ labels: { region: 'eu' } })
    const { url } = await container(echo)
    const labels = () =>
      edge.seen
        .filter(({ path }) => path === '/runner/register')
        .map(({ body }) => (body as { labels: Record<string, unknown> }).labels.region)
    await eventually(() => labels().length === 1)
    await reload({ labels: { region: 'us' }, containers: [{ id: 'one', url }], listen: '' })
    await eventually(() => labels().length === 2)
    expect(labels()).toEqual([['eu'], ['us']])
    await said('listen takes effect at the next start')
    expect(await result(job('one', {}))).toEqual({ container: 'one', output: {} })
  })

  test('behavior: a configuration that is wrong changes nothing, and every problem of it is told', async () => {
    const { container, job, result, said, reload, registered } = await run({ containers: [] })
    const { url } = await container(echo)
    await eventually(() => registered().length > 0)
    await reload({ containers: [{ id: 'one', url }] })
    await eventually(() => registered().at(-1)?.[0] === 'one')
    await reload({ containers: [{ id: 'no good', url }], slots: 0 })
    await said('containers[0].id: ')
    await said('slots: must be at least 1')
    await reload('{')
    await said('is not JSON')
    expect(await result(job('one', {}))).toEqual({ container: 'one', output: {} })
    await reload({ containers: [{ id: 'one', url }], spool: 'elsewhere', stream_part: 5 })
    await said('spool takes effect at the next start')
    await said('stream_part takes effect at the next start')
    expect(await result(job('one', {}))).toEqual({ container: 'one', output: {} })
  })
})

test('behavior: signals that come while it is read have it read once more: what was written last stays', async () => {
  const { child, directory, edge, container, registered, job, result, said, health, reload } = await run({})
  const { url } = await container(echo)
  await eventually(() => registered().length > 0)
  await reload({ containers: [{ id: 'one', url }] })
  await eventually(() => health('one') === 'ready')
  const path = join(directory, 'config.json')
  const slow = join(directory, 'slow.json')
  execFileSync('mkfifo', [slow])
  await rename(slow, path)
  await link(path, slow)
  child.kill('SIGHUP')
  // Opened once the runner reads it.
  const writing = await open(slow, 'w')
  await rm(path)
  await reload({ containers: [{ id: 'two', url }] })
  // The signal has come.
  await result(job('one', {}))
  const older = { containers: [{ id: 'one', url }], colour: 'old' }
  await writing.writeFile(JSON.stringify({ edge: { url: edge.url, key_file: 'runner.key' }, ...older }))
  await writing.close()
  await said('colour is not a known key')
  expect(await result(job('two', { x: 2 }))).toEqual({ container: 'two', output: { x: 2 } })
  await eventually(() => health('one') === undefined)
})

/** On how many networks a container is; nothing while it is being replaced. */
function networksOf(name: string): string {
  try {
    return docker(['inspect', '--type', 'container', '-f', '{{len .NetworkSettings.Networks}}', name])
  } catch {
    return ''
  }
}

/** The firewall's rules of a container, as they are at each call, where the runner may set them. */
function rulesOf(name: string): () => string[] {
  const bridgeName = '{{index .Options "com.docker.network.bridge.name"}}'
  const bridge = docker(['network', 'inspect', '-f', bridgeName, name])
  return () =>
    mayChangeNetwork()
      ? execFileSync('iptables-save', { encoding: 'utf8' })
          .split('\n')
          .filter(line => line.includes(bridge))
      : []
}

describe.skipIf(!reachable)('reload of containers in Docker', { timeout: 60_000 }, () => {
  beforeAll(() => buildImage(image, program))
  afterAll(async () => {
    await removeContainers(started)
    docker(['rmi', '-f', image])
  })

  async function runTwo(more: object = {}, firstImage = image) {
    const [port, otherPort] = [await freePort(), await freePort()]
    const one = { id: 'one', image: firstImage, port, slots: 2, env: { SAY: 'before' } }
    const two = { id: 'two', image, port: otherPort, slots: 2, env: { SAY: 'two' } }
    const config = { manage_containers: true, ...more }
    const running = await run({ ...config, containers: [one, two] })
    await eventually(() => running.health('one') === 'ready' && running.health('two') === 'ready')
    return {
      ...running,
      config,
      one,
      two,
      idOf: (id: string) => docker(['ps', '-aq', '--no-trunc', '--filter', `name=^/${running.name(id)}$`]),
    }
  }

  test('behavior: one that differs is replaced when its job is done; the other goes on, and is claimed for', async () => {
    const { config, one, two, idOf, edge, job, result, reload, said } = await runTwo()
    const ids = [idOf('one'), idOf('two')]
    const long = job('one', { do: 'wait', ms: 1_500 })
    const other = job('two', { do: 'wait', ms: 4_000 })
    await eventually(() => edge.jobs.get(long)?.started === true && edge.jobs.get(other)?.started === true)
    await reload({
      ...config,
      containers: [
        { ...one, env: { SAY: 'after' } },
        { ...two, slots: 1 },
      ],
    })
    await said('Replacing container')
    const next = job('one', {})
    expect(await result(long)).toEqual({ container: 'one', output: { said: 'before' } })
    expect(await result(next)).toMatchObject({ output: { said: 'after' } })
    expect(await result(other)).toEqual({ container: 'two', output: { said: 'two' } })
    expect(idOf('one')).not.toBe(ids[0])
    expect(idOf('two')).toBe(ids[1])
  })

  test('behavior: another image under the same name; a job that outlasts the drain is told so', async () => {
    const own = `${image}-moved`
    docker(['tag', image, own])
    const { config, one, two, edge, idOf, job, result, reload } = await runTwo({ drain_timeout: 0.3 }, own)
    const id = idOf('one')
    await buildImage(own, `${program}\n// another one`)
    const endless = job('one', { do: 'never' })
    const other = job('two', { do: 'wait', ms: 2_000 })
    await eventually(() => [endless, other].every(id => edge.jobs.get(id)?.started))
    await reload({ ...config, containers: [one, two] })
    expect(await result(endless)).toMatchObject({
      code: 'exited',
      error: expect.stringContaining('it was taken down, since the job did not end within 0.3 s'),
    })
    expect(await result(job('one', {}))).toMatchObject({ output: { said: 'before' } })
    expect(idOf('one')).not.toBe(id)
    expect(await result(other)).toEqual({ container: 'two', output: { said: 'two' } })
    docker(['rmi', '-f', own])
  })

  test('behavior: one that is not wanted any more is removed once its job is done', async () => {
    const { config, two, edge, job, name, result, reload } = await runTwo()
    const long = job('one', { do: 'wait', ms: 1_000 })
    await eventually(() => edge.jobs.get(long)?.started === true)
    await reload({ ...config, containers: [two] })
    expect(await result(long)).toEqual({ container: 'one', output: { said: 'before' } })
    await eventually(() => docker(['ps', '-aq', '--filter', `name=${name('one')}`]) === '')
    expect(await result(job('two', {}))).toMatchObject({ output: { said: 'two' } })
  })

  test('behavior: limits, links and egress are as configured from then on, and one that leaves keeps its network', async () => {
    const { config, one, two, edge, job, name, result, idOf, reload, output } = await runTwo()
    const ask = '{{.HostConfig.PidsLimit}} {{len .NetworkSettings.Networks}}'
    /** Its limit of processes and its networks; nothing while it is being replaced. */
    const read = (id: string) => {
      try {
        return docker(['inspect', '--type', 'container', '-f', ask, name(id)])
      } catch {
        return ''
      }
    }
    const rules = rulesOf(name('one'))
    const before = idOf('two')
    await reload({
      ...config,
      containers: [
        { ...one, limits: { pids: 99 }, links: ['two'] },
        { ...two, egress: 'open' },
      ],
    })
    await eventually(() => read('one') === '99 2' && read('two') === '4096 2')
    // It is the other end of the link.
    expect(idOf('two')).not.toBe(before)
    await reload({ ...config, containers: [one, { ...two, egress: 'open' }] })
    await eventually(() => read('one') === '4096 1' && read('two') === '4096 1')
    const stays = idOf('two')
    await reload({ ...config, containers: [one, two] })
    await eventually(() => edge.health().every(({ health }) => health === 'ready'))
    // Its rules alone are others.
    expect(idOf('two')).toBe(stays)

    const long = job('one', { do: 'wait', ms: 8_000 })
    await eventually(() => edge.jobs.get(long)?.started === true)
    const asBefore = rules()
    expect(asBefore.length > 0).toBe(mayChangeNetwork())
    await reload({ ...config, containers: [two] })
    await eventually(() => output().includes('Container is not wanted any more'))
    // One that is made anew has its rules first, and with them the runner sets all.
    await reload({ ...config, containers: [{ ...two, env: { SAY: 'anew' } }] })
    await eventually(
      () =>
        idOf('two') !== stays && edge.health().some(({ id, health }) => id === 'two' && health === 'ready'),
    )
    expect(rules()).toEqual(asBefore)
    expect(read('one')).toBe('4096 1')
    expect(await result(long)).toEqual({ container: 'one', output: { said: 'before' } })
    await eventually(() => docker(['ps', '-aq', '--filter', `name=${name('one')}`]) === '')
  })

  test('behavior: the other end of a link is made anew once who had the link is gone, and stays from then on', async () => {
    const { config, one, two, edge, job, name, result, idOf, reload, health, registered } = await runTwo()
    const networks = () => networksOf(name('two'))
    await reload({ ...config, containers: [{ ...one, links: ['two'] }, two] })
    await eventually(() => networks() === '2' && health('one') === 'ready' && health('two') === 'ready')
    const linked = idOf('two')
    const long = job('one', { do: 'wait', ms: 3_000 })
    await eventually(() => edge.jobs.get(long)?.started === true)
    await reload({ ...config, containers: [two] })
    expect(await result(job('two', {}))).toMatchObject({ output: { said: 'two' } })
    // What is in hand may need it.
    expect(edge.jobs.get(long)?.state).toBe('running')
    expect(idOf('two')).toBe(linked)
    expect(await result(long)).toMatchObject({ output: { said: 'before' } })
    await eventually(() => networks() === '1' && health('two') === 'ready')
    const alone = idOf('two')
    const before = registered().length
    await reload({ ...config, containers: [two] })
    await eventually(() => registered().length > before)
    expect(await result(job('two', { do: 'wait', ms: 1_500 }))).toMatchObject({ output: { said: 'two' } })
    expect(idOf('two')).toBe(alone)
  })

  test('behavior: one that moves to a url keeps its links, networks and rules until its job is done', async () => {
    const { config, one, two, container, edge, job, name, result, idOf, reload, health, output } =
      await runTwo()
    const { url } = await container(echo)
    await reload({ ...config, containers: [{ ...one, links: ['two'] }, two] })
    const networks = () => networksOf(name('two'))
    await eventually(() => networks() === '2' && health('one') === 'ready' && health('two') === 'ready')
    const linked = idOf('two')
    const rules = rulesOf(name('one'))
    const long = job('one', { do: 'wait', ms: 8_000 })
    await eventually(() => edge.jobs.get(long)?.started === true)
    const asBefore = rules()
    expect(asBefore.length > 0).toBe(mayChangeNetwork())
    const moved = { id: 'one', url }
    await reload({ ...config, containers: [moved, two] })
    await eventually(() => output().includes('Container is not wanted any more'))
    expect(await result(job('two', {}))).toMatchObject({ output: { said: 'two' } })
    expect(idOf('two')).toBe(linked)
    // One that is made anew has its rules first, and with them the runner sets all.
    await reload({ ...config, containers: [moved, { ...two, env: { SAY: 'anew' } }] })
    await eventually(() => !['', linked].includes(idOf('two')) && health('two') === 'ready')
    expect([rules(), networks(), edge.jobs.get(long)?.state]).toEqual([asBefore, '2', 'running'])
    expect(await result(long)).toEqual({ container: 'one', output: { said: 'before' } })
    expect(await result(job('one', { x: 1 }))).toEqual({ container: 'one', output: { x: 1 } })
    await eventually(() => networks() === '1' && health('two') === 'ready')
  })

  test('behavior: command and volumes are as configured from then on', async () => {
    const { config, directory, one, two, idOf, job, name, result, reload } = await runTwo()
    const made = () => {
      const [{ Config, HostConfig }] = JSON.parse(docker(['inspect', name('one')]))
      return { Cmd: Config.Cmd, Binds: HostConfig.Binds }
    }
    expect(made()).toEqual({ Cmd: null, Binds: [] })
    const other = idOf('two')
    const replaced = async (next: object) => {
      const before = idOf('one')
      await reload({ ...config, containers: [{ ...one, ...next }, two] })
      await eventually(() => !['', before].includes(idOf('one')))
      expect(await result(job('one', {}))).toMatchObject({ output: { said: 'before' } })
      return made()
    }
    const command = '--serve "all of it"'
    const volumes = [`${directory}:/data:ro`]
    expect(await replaced({ command })).toEqual({ Cmd: ['--serve', 'all of it'], Binds: [] })
    expect(await replaced({ command, volumes })).toEqual({ Cmd: ['--serve', 'all of it'], Binds: volumes })
    expect(await replaced({})).toEqual({ Cmd: null, Binds: [] })
    expect(idOf('two')).toBe(other)
  })

  test('behavior: with keep_running they outlive the runner, and the next one takes them over as they are', async () => {
    const { child, config, one, two, exited, idOf, name, spawn, edge, job, result } = await runTwo({
      keep_running: true,
    })
    const startedAt = () => docker(['inspect', '-f', '{{.State.Running}} {{.State.StartedAt}}', name('one')])
    const [id, at] = [idOf('one'), startedAt()]
    expect(at).toMatch(/^true /)
    child.kill('SIGTERM')
    expect(await exited).toMatchObject({ code: 0 })
    const { DOCKER_HOST } = process.env
    await spawn(
      { ...config, containers: [one, two] },
      { env: DOCKER_HOST === undefined ? {} : { DOCKER_HOST } },
    )
    expect(await result(job('one', {}))).toMatchObject({ output: { said: 'before' } })
    expect(idOf('one')).toBe(id)
    expect(startedAt()).toBe(at)
    expect(edge.reports).toHaveLength(1)
  })

  test('behavior: one that the last runner has left, and that may not run any more, does not run on', async () => {
    const { child, config, one, two, exited, name, spawn, health, edge } = await runTwo()
    child.kill('SIGKILL')
    await exited
    const isRunning = (id: string) => docker(['inspect', '-f', '{{.State.Running}}', name(id)])
    expect(isRunning('one')).toBe('true')
    const loose = { ...one, volumes: ['/etc:/data'] }
    const { DOCKER_HOST } = process.env
    await spawn(
      { ...config, require_isolation: true, containers: [loose, { ...two, egress: 'open' }] },
      { env: DOCKER_HOST === undefined ? {} : { DOCKER_HOST } },
    )
    await eventually(() => isRunning('one') === 'false')
    await eventually(() => edge.health().find(({ id }) => id === 'one')?.code === 'not_isolated')
    await eventually(() => health('two') === 'ready')
  })
})

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readHost } from '../../src/runner/confine/host.ts'
import { nameOf } from '../../src/runner/docker/spec.ts'
import { docker } from './docker.ts'
import { labImage } from './lab.ts'
import { able, answers, networkOf, tables, useLab } from './place.ts'
import { eventually } from './setup.ts'

describe.skipIf(!able)('where containers cannot be kept in their place', () => {
  const { keep } = useLab()

  test('behavior: without root the runner says what it does not keep, and does not start what must be', {
    timeout: 60_000,
  }, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'infernet-confine-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    const socket = join(directory, 'docker.sock')
    await writeFile(socket, '')
    const entries = [
      { id: 'shut', egress: 'none' },
      { id: 'usual' },
      { id: 'open', egress: 'open' },
      { id: 'master', egress: 'open', volumes: [`${socket}:/docker.sock`] },
    ]
    const notRoot = { uid: 1000, mayChangeNetwork: false }
    const loose = await keep(entries, { host: notRoot })
    await loose.ready()
    expect(tables()).not.toContain(loose.scope)
    const why = 'the runner (its user is 1000) may not set firewall rules'
    const fix = 'run it as root or with CAP_NET_ADMIN, or set egress to "open"'
    expect(loose.confinement.problems()).toEqual([
      { container: 'shut', what: `egress "none" is not kept: ${why}`, fix, asked: true },
      { container: 'usual', what: `egress "public" is not kept: ${why}`, fix, asked: false },
      {
        container: 'master',
        what: 'a volume of it gives it the host',
        fix: `leave ${socket} out of volumes`,
        asked: true,
      },
    ])
    expect(loose.logged.filter(({ event }) => event === 'A container is not isolated')).toHaveLength(2)
    expect(
      loose.logged.filter(({ event }) => event === 'Containers reach more than the internet'),
    ).toHaveLength(1)

    const strict = await keep(entries, { host: notRoot, root: { require_isolation: true } })
    await eventually(() => strict.seen.all().every(({ health }) => health !== 'starting'))
    expect(strict.seen.health()).toMatchObject([
      { id: 'shut', health: 'unhealthy', code: 'not_isolated', detail: expect.stringContaining(why) },
      { id: 'usual', health: 'unhealthy', code: 'not_isolated', detail: expect.stringContaining(why) },
      { id: 'open', health: 'ready' },
      {
        id: 'master',
        health: 'unhealthy',
        code: 'not_isolated',
        detail: expect.stringMatching(
          /^it may not run, as isolation is required: a volume of it gives it the host(?: \(|$)/,
        ),
      },
    ])
    expect(docker(['ps', '-aq', '--filter', `name=infernet-${strict.scope}-shut`])).toBe('')
  })

  test('behavior: a firewall that cannot be told anything is no isolation, and says why', {
    timeout: 60_000,
  }, async () => {
    const restore = async () => {
      throw new Error('iptables-restore: Permission denied (you must be root)')
    }
    const usual = readHost(process.env.DOCKER_HOST)
    const { logged, seen } = await keep([{ id: 'one' }, { id: 'open', egress: 'open' }], {
      host: { tables: usual.tables.map(table => ({ ...table, restore })) },
      root: { require_isolation: true },
    })
    await eventually(() => seen.all().every(({ health }) => health !== 'starting'))
    const what = 'egress "public" is not kept: iptables-restore: Permission denied (you must be root)'
    expect(seen.health()).toMatchObject([
      { id: 'one', health: 'unhealthy', code: 'not_isolated' },
      { id: 'open', health: 'ready' },
    ])
    // Its health may say how often by now.
    expect(seen.get('one')?.cause).toEqual({
      code: 'not_isolated',
      detail: `it may not run, as isolation is required: ${what}`,
    })
    expect(logged).toContainEqual({
      event: 'Containers reach more than the internet',
      fields: {
        containers: 'one',
        what,
        fix: "install iptables, and run the runner where Docker's bridges are",
      },
    })
  })

  test('behavior: rules that stand where no bridge is are not called isolation, nor left there', {
    timeout: 60_000,
  }, async () => {
    const { ready, confinement, scope } = await keep([{ id: 'shut', egress: 'none' }], {
      host: { hasInterface: async () => false },
    })
    await ready()
    expect(confinement.problems()).toMatchObject([
      { what: 'egress "none" is not kept: Docker\'s bridges are not in the runner\'s own network' },
    ])
    expect(tables()).not.toContain(scope)
  })

  test('behavior: a runner that is in a container itself reaches its own by the gateway', {
    timeout: 60_000,
  }, async () => {
    const { inspected, config, scope } = await keep([{ id: 'one', egress: 'none' }], {
      env: { RUNTIME: 'docker' },
    })
    // A container of somebody else's, on Docker's usual network.
    const spare = docker(['run', '-d', '--rm', labImage])
    onTestFinished(() => void docker(['rm', '-f', spare]))
    const isUp = () => docker(['ps', '-q', '--filter', `name=${nameOf(scope, 'one')}`]) !== ''
    await eventually(isUp)
    const { Gateway } = networkOf(JSON.parse(docker(['inspect', spare]))[0])
    expect(inspected('one').HostConfig.PortBindings['3000/tcp']).toEqual([
      { HostIp: Gateway, HostPort: String(config.containers[0]?.port) },
    ])
    const url = `http://${Gateway}:${config.containers[0]?.port}/health`
    const ask = `fetch('${url}').then(answer => console.log(answer.status))`
    await eventually(() => answers('docker', 'exec', spare, '/node', '-e', `fetch('${url}').then(() => {})`))
    expect(docker(['exec', spare, '/node', '-e', ask])).toBe('200')
  })
})

import { execFile, execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { hostFamilies } from '../../src/runner/confine/iptables.ts'
import { createEngine } from '../../src/runner/docker/engine.ts'
import { nameOf } from '../../src/runner/docker/spec.ts'
import { startServer } from '../host/server.ts'
import { adminToken } from '../support/edge.ts'
import { docker } from './docker.ts'
import { answered, beyond, createInternet, type Internet } from './internet.ts'
import { attempt, labImage } from './lab.ts'
import { able, answers, type Inspected, networkOf, tables, useLab } from './place.ts'
import { eventually } from './setup.ts'

// A matter of the kernel, which no CI can install.
const speaksIpv6 = hostFamilies().includes(6)
if (able && !speaksIpv6) console.log('The test of IPv6 is skipped: this kernel does not speak it')

const run = promisify(execFile)
const busy = 'Another app is currently holding the xtables lock.'
const hostAddress = () =>
  Object.entries(networkInterfaces())
    .filter(([name]) => !/^(docker|br-|ifn|ift)/.test(name))
    .flatMap(([, addresses]) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? ''

describe.skipIf(!able)('containers in their place', () => {
  let internet: Internet
  let spare: string
  const { keep } = useLab()

  beforeAll(async () => {
    internet = await createInternet()
    // A container of somebody else's, on Docker's usual network.
    spare = docker(['run', '-d', '--rm', '-p', '3000', labImage])
  }, 120_000)
  afterAll(() => {
    docker(['rm', '-f', spare])
    internet?.close()
  })

  /** A server of this host's that speaks HTTP, and answers everything. */
  async function listen(
    address: string,
    answer: RequestListener = (_, response) => response.end('here'),
  ): Promise<number> {
    const server = createServer(answer)
    await new Promise<void>(resolve => server.listen(0, address, resolve))
    onTestFinished(() => void server.close())
    return (server.address() as AddressInfo).port
  }

  /** In front of the programs that set rules: while a file of the answered path is there, they find the lock taken. */
  async function makeBusy(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'infernet-busy-'))
    const isBusy = join(directory, 'busy')
    for (const name of ['iptables-restore', 'ip6tables-restore']) {
      const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
      const real = execFileSync('sh', ['-c', `command -v ${name}`], { env, encoding: 'utf8' }).trim()
      const script = `#!/bin/sh\nif [ -e ${isBusy} ]; then echo '${busy}' >&2; exit 4; fi\nexec ${real} "$@"\n`
      await writeFile(join(directory, name), script, { mode: 0o755 })
    }
    vi.stubEnv('PATH', `${directory}:${process.env.PATH}`)
    onTestFinished(async () => {
      vi.unstubAllEnvs()
      await rm(directory, { recursive: true, force: true })
    })
    return isBusy
  }

  /** A real edge, on all addresses. @returns its port. */
  async function serveEdge(): Promise<number> {
    const { port } = await startServer('node', {}, ['--hostname', '0.0.0.0'])
    return port
  }

  /** The engine as by a TCP listener, on all addresses; asked for a sign of life alone, as it would give this host to whoever comes. */
  async function serveEngine(): Promise<number> {
    const engine = createEngine(process.env.DOCKER_HOST)
    onTestFinished(() => engine.close())
    return await listen('0.0.0.0', async (_, response) => {
      const { body } = await engine.send({ method: 'GET', path: '/_ping' })
      response.end(await body.text())
    })
  }

  const portOf = ({ NetworkSettings }: Inspected) => Number(NetworkSettings.Ports['3000/tcp']?.[0]?.HostPort)
  /** At once, and not met with silence. */
  const refused = /^(EHOSTUNREACH|EACCES|ECONNREFUSED)$/
  const open = { try: 'connect', host: beyond.public, port: beyond.port } as const

  test('default: with egress none nothing is reached, and jobs are answered', {
    timeout: 90_000,
  }, async () => {
    const { ready, tell, inspected } = await keep([
      { id: 'shut', egress: 'none' },
      { id: 'open', egress: 'open' },
      { id: 'near', egress: 'open' },
    ])
    await ready()
    const [loopback, everywhere] = [await listen('127.0.0.1'), await listen('0.0.0.0')]
    const [edge, engine] = [await serveEdge(), await serveEngine()]
    const { Gateway: gateway } = networkOf(inspected('shut'))
    const [stranger] = JSON.parse(docker(['inspect', spare]))
    const near = inspected('near')
    const outside: Record<string, [string, number]> = {
      'a service on all addresses, by the gateway': [gateway, everywhere],
      'the same, by the address of the host': [hostAddress(), everywhere],
      'an edge on all addresses': [gateway, edge],
      'the engine on all addresses': [gateway, engine],
      'the port that a stranger has published everywhere': [hostAddress(), portOf(stranger)],
      'the metadata of a cloud': [beyond.metadata, beyond.port],
      'a private network': [beyond.private, beyond.port],
      'the internet': [beyond.public, beyond.port],
    }
    // Docker closes these to `open` as well: they prove nothing of `none`, but that it opens nothing.
    const closed: Record<string, [string, number]> = {
      'a service on loopback, by the gateway': [gateway, loopback],
      'a service on loopback, by its address': ['127.0.0.1', loopback],
      'a neighbour by its address': [networkOf(near).IPAddress, 3000],
      "a neighbour's published port": [gateway, portOf(near)],
      "a stranger's container": [networkOf(stranger).IPAddress, 3000],
    }
    const reached: Record<string, string[]> = { shut: [], open: [] }
    for (const [what, [host, port]] of Object.entries({ ...outside, ...closed }))
      for (const [id, list] of Object.entries(reached))
        if ((await tell(id)({ try: 'connect', host, port })) === 'open') list.push(what)
    expect(reached).toEqual({ shut: [], open: Object.keys(outside) })
    // Who is reached would answer: the routes of an administrator whose token has leaked, and what is root on this host.
    const host = gateway
    const admin = { try: 'ask', host, port: edge, path: '/admin/runners', token: adminToken } as const
    const ping = { try: 'ask', host, port: engine, path: '/_ping' } as const
    expect([await tell('open')(admin), await tell('open')(ping)]).toEqual(['[]', 'OK'])
    for (const asked of [admin, ping]) expect(await tell('shut')(asked)).toMatch(refused)
    // The engine's socket is a file of no container, whatever its egress.
    for (const id of ['shut', 'open'])
      expect(await tell(id)({ try: 'find', path: '/var/run/docker.sock' })).toBe(false)
    expect(await tell('shut')({ try: 'find', path: '/lab.js' })).toBe(true)
  })

  test('behavior: with egress none nothing is reached while Docker makes networks, and moves the jump to our rules', {
    timeout: 60_000,
  }, async () => {
    const { ready, tell } = await keep([{ id: 'shut', egress: 'none' }])
    await ready()
    const tried = tell('shut')({ try: 'hammer', host: beyond.public, port: beyond.port, ms: 8_000 })
    let isTrying = true
    void tried.finally(() => {
      isTrying = false
    })
    const name = `infernet-lab-${process.pid}`
    let made = 0
    for (; isTrying; made++) {
      await run('docker', ['network', 'create', '--subnet', '10.213.77.0/28', name])
      await run('docker', ['network', 'rm', name])
    }
    expect(made).toBeGreaterThan(0)
    expect(await tried).toEqual({ open: 0, others: expect.any(Number) })
  })

  test('behavior: with egress none no name is asked of anybody', { timeout: 60_000 }, async () => {
    const { ready, tell, inspected } = await keep([
      { id: 'shut', egress: 'none' },
      { id: 'open', egress: 'open' },
    ])
    await ready()
    const asked = { try: 'resolve', name: 'secret.example.com', server: beyond.public } as const
    expect(await tell('open')(asked)).toBe(answered)
    expect(await tell('shut')(asked)).not.toBe(answered)
    // Docker's resolver asks from outside the container where the host's own resolver is on loopback.
    expect(inspected('shut').HostConfig.Dns).toEqual(['127.0.0.1'])
    expect(await tell('shut')({ ...asked, server: '127.0.0.11' })).toMatch(/^E/)
  })

  test('behavior: public is the internet alone, and names', { timeout: 60_000 }, async () => {
    const nameservers = async () => [beyond.private]
    const { ready, tell, inspected } = await keep([{ id: 'one' }], { host: { nameservers } })
    await ready()
    const one = tell('one')
    const connect = (host: string, port: number = beyond.port) => one({ try: 'connect', host, port })
    expect(await connect(beyond.public)).toBe('open')
    const [stranger] = JSON.parse(docker(['inspect', spare]))
    const everywhere = await listen('0.0.0.0')
    const closed: [string, number][] = [
      [beyond.private, beyond.port],
      [beyond.metadata, beyond.port],
      [hostAddress(), everywhere],
      [networkOf(inspected('one')).Gateway, everywhere],
      [networkOf(stranger).IPAddress, 3000],
      [hostAddress(), portOf(stranger)],
    ]
    for (const [host, port] of closed) expect(await connect(host, port), host).not.toBe('open')
    expect(await connect(beyond.private)).toMatch(refused)
    const name = { try: 'resolve', name: 'example.com' } as const
    expect(await one({ ...name, server: beyond.private })).toBe(answered)
    expect(await one({ ...name, server: beyond.metadata })).not.toBe(answered)
  })

  test.skipIf(!speaksIpv6)('behavior: IPv6 is closed as well', { timeout: 60_000 }, async () => {
    const { ready, tell, inspected } = await keep([
      { id: 'shut', egress: 'none' },
      { id: 'public' },
      { id: 'open', egress: 'open' },
    ])
    await ready()
    const port = await listen('::')
    const answers: Record<string, unknown> = {}
    for (const [index, id] of ['shut', 'public', 'open'].entries()) {
      const { State, NetworkSettings } = inspected(id)
      const [, bridge = ''] =
        /"com.docker.network.bridge.name": "(\w+)"/.exec(
          docker(['network', 'inspect', Object.keys(NetworkSettings.Networks)[0]!]),
        ) ?? []
      const prefix = `fd00:213:${index}`
      // As an engine does that gives out such addresses.
      const inside = ['nsenter', '-t', String(State.Pid), '-n']
      const commands = [
        [...inside, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/all/disable_ipv6'],
        [...inside, 'ip', 'addr', 'add', `${prefix}::2/64`, 'dev', 'eth0', 'nodad'],
        ['sh', '-c', `echo 0 > /proc/sys/net/ipv6/conf/${bridge}/disable_ipv6`],
        ['ip', 'addr', 'add', `${prefix}::1/64`, 'dev', bridge, 'nodad'],
      ]
      for (const [program = '', ...args] of commands) execFileSync(program, args, { stdio: 'pipe' })
      answers[id] = await tell(id)({ try: 'connect', host: `${prefix}::1`, port })
    }
    expect(answers).toEqual({ shut: 'EACCES', public: 'EACCES', open: 'open' })
  })

  test('behavior: nobody who routes to a container reaches it, past its queue', {
    timeout: 60_000,
  }, async () => {
    const { ready, inspected, tell } = await keep([{ id: 'one', egress: 'open' }])
    await ready()
    const { IPAddress } = networkOf(inspected('one'))
    const from = `require('node:http').get('http://${IPAddress}:3000/', { timeout: 1500 }, () => {
      console.log('reached'); process.exit() }).on('timeout', () => process.exit()).on('error', () => {})`
    expect(internet.run(process.execPath, '-e', from)).toBe('')
    expect(await tell('one')(open)).toBe('open')
  })

  test('behavior: a link leads to the neighbour that it names, and no further', {
    timeout: 60_000,
  }, async () => {
    const { ready, tell, inspected } = await keep([
      { id: 'front', egress: 'none', links: ['middle'] },
      { id: 'middle', egress: 'none', links: ['back'] },
      { id: 'back', egress: 'none' },
    ])
    await ready()
    const asks = async (id: string, host: string) => await tell(id)({ try: 'connect', host, port: 3000 })
    expect(await asks('front', 'middle')).toBe('open')
    expect(await asks('middle', 'back')).toBe('open')
    expect(await asks('front', 'back')).not.toBe('open')
    for (const { IPAddress } of Object.values((inspected('back') as Inspected).NetworkSettings.Networks))
      expect(await asks('front', IPAddress)).not.toBe('open')
    const everywhere = await listen('0.0.0.0')
    const { Networks } = (inspected('middle') as Inspected).NetworkSettings
    const gateways = Object.values(Networks).map(({ Gateway, IPAddress }) =>
      Gateway === '' ? IPAddress.replace(/\.\d+$/, '.1') : Gateway,
    )
    expect(gateways).toHaveLength(3)
    for (const host of gateways)
      expect(await tell('middle')({ try: 'connect', host, port: everywhere }), host).not.toBe('open')
    expect(await tell('middle')(open)).not.toBe('open')
  })

  test('behavior: rules are healed, do not meet those of another runner, and go at the end', {
    timeout: 90_000,
  }, async () => {
    const [one, two] = [await keep([{ id: 'one', egress: 'none' }]), await keep([{ id: 'one' }])]
    await Promise.all([one.ready(), two.ready()])
    const mine = () => tables().match(new RegExp(`INFERNET-${one.scope}`, 'g'))?.length
    const before = mine()
    const flush = (table: string) =>
      execFileSync('iptables', ['-t', table, '-F', `INFERNET-${one.scope}-FORWARD`])
    flush('filter')
    // Whatever becomes of one table, the other one keeps the containers in their place.
    expect(await one.tell('one')(open)).not.toBe('open')
    flush('security')
    const foreign = ['INPUT', '-s', '192.0.2.200/32', '-j', 'ACCEPT']
    execFileSync('iptables', ['-I', ...foreign])
    onTestFinished(() => {
      execFileSync('iptables', ['-D', ...foreign])
    })
    expect(await one.tell('one')(open)).toBe('open')
    const talk = one.tell('one')({ try: 'talk', host: open.host, port: beyond.talk })
    const told = 'The firewall rules of containers had been changed, and are in place again'
    await eventually(() => [one, two].every(({ logged }) => logged.some(({ event }) => event === told)))
    expect(await one.tell('one')(open)).not.toBe('open')
    // What was opened meanwhile is over as well.
    expect(await talk).toBe('cut off')
    expect(mine()).toBe(before)
    const input = tables('-t', 'filter')
      .match(/^-A INPUT .*$/gm)
      ?.filter(rule => [one.scope, two.scope, foreign[2]!].some(mark => rule.includes(mark)))
    expect(input).toHaveLength(3)
    expect(input?.[2]).toBe(`-A ${foreign.join(' ')}`)
    await one.end()
    expect(tables()).not.toContain(one.scope)
    expect(tables()).toContain(two.scope)
    expect(await two.tell('one')({ ...open, host: beyond.private })).not.toBe('open')
  })

  test('behavior: who comes while somebody else is busy with the firewall begins when its rules are there', {
    timeout: 60_000,
  }, async () => {
    const isBusy = await makeBusy()
    const { ready, reload, scope, seen, tell } = await keep([{ id: 'old', egress: 'none' }])
    await ready()
    await writeFile(isBusy, '')
    await reload([
      { id: 'old', egress: 'none' },
      { id: 'new', egress: 'none' },
    ])
    await eventually(() => seen.get('new')?.health === 'unhealthy')
    expect(seen.get('new')?.cause).toMatchObject({
      code: 'not_isolated',
      detail: expect.stringContaining(`its firewall rules are not in place: iptables-restore: ${busy}`),
    })
    expect(answers('docker', 'network', 'inspect', nameOf(scope, 'new'))).toBe(false)
    expect(seen.get('old')?.health).toBe('ready')
    await rm(isBusy)
    await ready()
    for (const id of ['old', 'new']) expect(await tell(id)(open)).not.toBe('open')
  })

  test('behavior: a network of an earlier configuration leads nowhere while anybody is on it; the rest goes', {
    timeout: 90_000,
  }, async () => {
    const spool = join(tmpdir(), `infernet-confine-${randomUUID()}`)
    const first = await keep([{ id: 'old', egress: 'open' }, { id: 'gone' }], { spool })
    await first.ready()
    await first.end()
    const old = nameOf(first.scope, 'old')
    const label = `infernet.runner=${first.scope}`
    const id = docker(['run', '-d', '--network', old, '--label', label, '-p', '3000', labImage])
    const [somebody] = JSON.parse(docker(['inspect', id]))
    const second = await keep([{ id: 'new' }], { spool })
    await second.ready()
    expect(await attempt(`http://127.0.0.1:${portOf(somebody)}`, open)).not.toBe('open')
    const names = () => docker(['network', 'ls', '--format', '{{.Name}}', '--filter', `name=${first.scope}`])
    await eventually(() => !names().includes('-gone'))
    expect(names().split('\n').sort()).toEqual([nameOf(first.scope, 'new'), old])
  })

  test('behavior: where the engine has no more networks to give, there are others', {
    timeout: 90_000,
  }, async () => {
    const made: string[] = []
    let isTaking = true
    const take = async () => {
      const name = `infernet-lab-${process.pid}-${made.length}`
      made.push(name)
      await run('docker', ['network', 'create', name]).catch(() => made.pop())
      return made.at(-1) === name
    }
    while (await take());
    // Tests beside this one give networks back, which the containers below must not get.
    const taking = (async () => {
      while (isTaking) if (!(await take())) await sleep(100)
    })()
    onTestFinished(async () => {
      isTaking = false
      await taking
      if (made.length > 0) docker(['network', 'rm', ...made])
    })
    const { ready, tell, inspected } = await keep([
      { id: 'one', egress: 'open', links: ['two'] },
      { id: 'two', egress: 'none' },
    ])
    await ready()
    expect(networkOf(inspected('two')).IPAddress).toMatch(/^198\.19\./)
    expect(await tell('one')({ try: 'connect', host: 'two', port: 3000 })).toBe('open')
    expect(await tell('one')(open)).toBe('open')
    expect(await tell('two')(open)).not.toBe('open')
  })

  test('behavior: one with several links stays as it is in whatever order the file has them, and is made anew once for one that goes', {
    timeout: 60_000,
  }, async () => {
    const spool = join(tmpdir(), `infernet-confine-${randomUUID()}`)
    const [index, store] = [{ id: 'index' }, { id: 'store' }]
    const first = await keep(
      [{ id: 'tools', links: ['index'] }, { id: 'agent', links: ['index', 'store'] }, index, store],
      { spool },
    )
    await first.ready()
    const made = () =>
      ['agent', 'tools', 'index', 'store'].map(id =>
        docker(['inspect', '-f', '{{.Id}}', nameOf(first.scope, id)]),
      )
    const before = made()
    await first.end()
    const ports = Object.fromEntries(first.config.containers.map(({ id, port }) => [id, { port }]))
    const of = (id: string, more: object = {}) => ({ id, ...ports[id], ...more })
    const agent = of('agent', { links: ['store', 'index', 'store'] })
    const second = await keep([agent, of('tools', { links: ['index'] }), of('store'), of('index')], { spool })
    await second.ready()
    expect(made()).toEqual(before)

    await second.reload([agent, of('store'), of('index')])
    const networks = () => {
      try {
        return docker(['inspect', '-f', '{{len .NetworkSettings.Networks}}', nameOf(second.scope, 'index')])
      } catch {
        return ''
      }
    }
    await eventually(() => networks() === '2')
    await second.ready()
    const replaced = second.logged.filter(({ event }) => event.startsWith('Replacing container'))
    expect(replaced.map(({ fields }) => fields)).toEqual([{ container: nameOf(second.scope, 'index') }])
  })

  test('behavior: one that was killed between making a container and linking it makes it anew', {
    timeout: 60_000,
  }, async () => {
    const spool = join(tmpdir(), `infernet-confine-${randomUUID()}`)
    const entries = [{ id: 'front', links: ['back'] }, { id: 'back' }]
    const first = await keep(entries, { spool })
    await first.ready()
    await first.end()
    const link = Object.keys((first.inspected('front') as Inspected).NetworkSettings.Networks)
    docker(['network', 'disconnect', link.find(name => name.includes('.'))!, nameOf(first.scope, 'front')])
    const second = await keep(
      entries.map((entry, index) => ({ ...entry, port: first.config.containers[index]?.port })),
      { spool },
    )
    await second.ready()
    expect(await second.tell('front')({ try: 'connect', host: 'back', port: 3000 })).toBe('open')
  })
})

import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { parseConfig } from '../../src/runner/config/load.ts'
import { hasNetAdmin } from '../../src/runner/confine/capability.ts'
import { createConfinement } from '../../src/runner/confine/confine.ts'
import { handedOver } from '../../src/runner/confine/handover.ts'
import { type Host, readHost } from '../../src/runner/confine/host.ts'
import { createFloor, createIptables, type Iptables, mayPass } from '../../src/runner/confine/iptables.ts'
import { networksOf, placeOf } from '../../src/runner/confine/plan.ts'
import { isolationProblems } from '../../src/runner/confine/problems.ts'
import { closedRanges, type Family } from '../../src/runner/confine/ranges.ts'
import { spareSubnets } from '../../src/runner/confine/subnets.ts'
import { hooksOf, isHooked, parseTable, unhook } from '../../src/runner/confine/table.ts'
import { createDiskWatch } from '../../src/runner/docker/disk-watch.ts'
import { createEngine } from '../../src/runner/docker/engine.ts'
import { tellEngine } from '../../src/runner/docker/json.ts'
import { startFakeEngine } from './fake-engine.ts'
import { eventually } from './setup.ts'

const configOf = (containers: object[]) =>
  parseConfig(JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, containers }), {
    path: '/config.json',
    env: {},
  }).config

const usual: Host = {
  platform: 'linux',
  uid: 0,
  mayChangeNetwork: true,
  dockerHost: null,
  tables: [],
  nameservers: async () => [],
  hasInterface: async () => true,
  realPath: path => path,
}

describe('closed ranges', () => {
  const isClosed = (address: ipaddr.IPv4 | ipaddr.IPv6, family: Family) =>
    closedRanges[family].some(range => address.match(ipaddr.parseCIDR(range)))

  test('default: whatever is no address of the internet is in them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), bytes => {
        const address = new ipaddr.IPv4([...bytes])
        const azure = address.toString() === '168.63.129.16'
        // The library knows AMT and AS 112, which are reached like others.
        if (['amt', 'as112'].includes(address.range())) return
        expect(isClosed(address, 4)).toBe(address.range() !== 'unicast' || azure)
      }),
      { examples: [[Uint8Array.of(168, 63, 129, 16)], [Uint8Array.of(100, 100, 100, 200)]], numRuns: 2000 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.boolean(), (bytes, near) => {
        const address = new ipaddr.IPv6([...(near ? [0x20, 0x01, 0x0d, 0xb8, ...bytes.slice(4)] : bytes)])
        const first = address.parts[0] ?? 0
        if (first >> 13 !== 1 || address.range() !== 'unicast') expect(isClosed(address, 6)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test('behavior: the internet is open, metadata services are not', () => {
    const closed = (address: string) => {
      const parsed = ipaddr.parse(address)
      return isClosed(parsed, parsed.kind() === 'ipv4' ? 4 : 6)
    }
    const open = ['1.1.1.1', '8.8.8.8', '172.15.0.1', '172.32.0.1', '192.167.0.1', '223.255.255.1']
    const six = ['2606:4700:4700::1111', '2a00:1450::1', '2400:cb00::1', '3ffe::1']
    expect([...open, ...six].filter(closed)).toEqual([])
    const metadata = ['169.254.169.254', '100.100.100.200', '192.0.0.192', 'fd00:ec2::254', 'fe80::1']
    const wrapped = ['::ffff:10.0.0.1', '64:ff9b::a00:1', '2002:a00:1::', '::1']
    expect([...metadata, ...wrapped].filter(address => !closed(address))).toEqual([])
  })
})

describe('the filter table', () => {
  const jump = (from: string, name: string) => `-A ${from} -j INFERNET-${name}`
  const tableOf = (...rules: string[]) => parseTable([':INPUT ACCEPT [0:0]', ...rules, 'COMMIT'].join('\n'))
  const hooks = (...rules: string[]) => {
    const table = tableOf(...rules)
    return isHooked(table, hooksOf(table, 'mine')[1]!)
  }
  const own = jump('INPUT', 'mine-INPUT')
  const other = jump('INPUT', 'other-INPUT')

  test('default: a jump counts where only other runners are before it, once', () => {
    expect(hooks(own, '-A INPUT -j ACCEPT')).toBe(true)
    expect(hooks(other, own)).toBe(true)
    expect(hooks('-A FORWARD -j ACCEPT', own)).toBe(true)
    expect(hooks('-A INPUT -i lo -j ACCEPT', own)).toBe(false)
    expect(hooks(own, own)).toBe(false)
    expect(hooks(other)).toBe(false)
    expect(hooks()).toBe(false)
  })

  test("behavior: Docker's own place is taken where there is one, and jumps are taken back from anywhere", () => {
    const forward = jump('FORWARD', 'mine-FORWARD')
    expect(hooksOf(tableOf(), 'mine')[0]?.from).toBe('FORWARD')
    expect(hooksOf(tableOf(':DOCKER-USER - [0:0]'), 'mine')[0]?.from).toBe('DOCKER-USER')
    const inside = '-A INFERNET-mine-FORWARD -i ifn1 ! -o ifn1 -j INFERNET-mine-PUBLIC'
    expect(unhook(tableOf(forward, other, own, inside), 'mine')).toEqual([
      '-D FORWARD -j INFERNET-mine-FORWARD',
      '-D INPUT -j INFERNET-mine-INPUT',
    ])
  })
})

/** In front of this host's programs; what is restored lies in the file that is answered. */
async function withSave(save: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-iptables-'))
  const usual = process.env.PATH
  process.env.PATH = `${directory}:${usual}`
  onTestFinished(async () => {
    process.env.PATH = usual
    await rm(directory, { recursive: true })
  })
  const programs = { 'iptables-save': save, 'iptables-restore': `cat > ${directory}/restored` }
  for (const [name, script] of Object.entries(programs))
    await writeFile(join(directory, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return join(directory, 'restored')
}

describe('createIptables', () => {
  const missing =
    'iptables-save v1.8.9 (legacy): Cannot initialize: Table does not exist (do you need to insmod?)'
  const said = [
    {
      what: 'a kernel without modules, after modprobe',
      lines: ['modprobe: FATAL: Module ip_tables not found in directory /lib/modules/6.1.0', missing],
      told: missing,
      passes: false,
    },
    {
      what: "the same, after busybox's modprobe",
      lines: ["modprobe: can't change directory to '/lib/modules': No such file or directory", missing],
      told: missing,
      passes: false,
    },
    {
      what: 'a module that may not be loaded, and a kernel that is short of memory',
      lines: [
        "modprobe: ERROR: could not insert 'ip_tables': Operation not permitted",
        'Memory allocation problem',
      ],
      told: 'Memory allocation problem',
      passes: true,
    },
    {
      what: 'a match that the kernel has not, under a name alone',
      lines: ['iptables-save v1.8.9 (nf_tables): ', 'line 4: RULE_APPEND failed (Operation not supported)'],
      told: 'line 4: RULE_APPEND failed (Operation not supported)',
      passes: false,
    },
    {
      what: 'a table that somebody changes, after a warning',
      lines: [
        '# Warning: iptables-legacy tables present',
        'line 2: CHAIN_ADD failed (Device or resource busy)',
      ],
      told: 'line 2: CHAIN_ADD failed (Device or resource busy)',
      passes: true,
    },
    {
      what: 'a lock that somebody holds',
      lines: [
        "Can't lock /run/xtables.lock: Resource temporarily unavailable",
        'Another app is currently holding the xtables lock. Stopped waiting after 5s.',
      ],
      told: "Can't lock /run/xtables.lock: Resource temporarily unavailable",
      passes: true,
    },
    {
      what: 'a lock that cannot be',
      lines: ["Fatal: can't open lock file /run/xtables.lock: Read-only file system"],
      told: "Fatal: can't open lock file /run/xtables.lock: Read-only file system",
      passes: false,
    },
    { what: 'modprobe alone', lines: ['modprobe: gone'], told: 'modprobe: gone', passes: true },
    { what: 'nothing', lines: [], told: 'exit 1', passes: true },
  ]
  test.for(said)(
    'behavior: of $what the line is told that says most, and judged',
    async ({ lines, told, passes }) => {
      await withSave(`cat >&2 <<'END'\n${lines.join('\n')}\nEND\nexit 1`)
      const failed = await createIptables(4)
        .save()
        .then(() => '', String)
      expect(failed).toBe(`Error: iptables-save: ${told}`)
      expect(mayPass(failed)).toBe(passes)
    },
  )

  test('behavior: of one that says more than anybody reads the beginning is kept', async () => {
    await withSave(`head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1`)
    const failed = await createIptables(4)
      .save()
      .then(() => '', String)
    expect(failed.length).toBe('Error: iptables-save: '.length + 4096)
  })
})

describe('createFloor', () => {
  /** A kernel that has these tables, as iptables shows it. */
  const withTables = (...tables: string[]) =>
    withSave(
      `case " ${tables.join(' ')} " in *" $2 "*) echo "*$2";; *) echo "no $2: Table does not exist" >&2; exit 1;; esac`,
    )

  test.for([
    { tables: ['filter', 'security', 'mangle'], taken: 'security' },
    { tables: ['filter', 'mangle'], taken: 'mangle' },
  ])('default: of $tables it is $taken', async ({ tables, taken }) => {
    const restored = await withTables(...tables)
    const floor = createFloor(4)
    expect(await floor.save()).toBe(`*${taken}\n`)
    await floor.restore(['-A X'])
    expect(await readFile(restored, 'utf8')).toBe(`*${taken}\n-A X\nCOMMIT\n`)
  })

  test('behavior: with neither it fails as iptables does', async () => {
    await withTables('filter')
    await expect(createFloor(4).save()).rejects.toThrow('no mangle: Table does not exist')
  })

  test('behavior: what may pass says of no table that it is not there, however many look in a moment', async () => {
    await withSave(`[ "$2" = security ] && { echo "Interrupted system call" >&2; exit 1; }; echo "*$2"`)
    let ms = 0
    const floor = createFloor(4, () => ms)
    for (ms of [0, 0, 0, 0, 29_999]) await expect(floor.save()).rejects.toThrow('Interrupted system call')
    await withTables('filter', 'security', 'mangle')
    expect(await floor.save()).toBe('*security\n')
  })

  test('behavior: but when it has failed three times in a row, and for 30 s', async () => {
    await withSave(`[ "$2" = security ] && exit 1; echo "*$2"`)
    let ms = 0
    const floor = createFloor(4, () => ms)
    for (ms of [0, 40_000]) await expect(floor.save()).rejects.toThrow('exit 1')
    ms = 40_001
    expect(await floor.save()).toBe('*mangle\n')
  })
})

describe('the plan', () => {
  const { containers } = configOf([
    { id: 'a', image: 'x', links: ['b', 'b'] },
    { id: 'b', image: 'x', links: ['a'], egress: 'open' },
    { id: 'c', image: 'x', egress: 'none' },
    { id: 'd', url: 'http://far' },
  ])

  test('default: a bridge for each container, and one for each link', () => {
    const networks = networksOf('mine', { containers })
    expect(networks.map(({ name, egress, link }) => [name.replace(/\.\w{6}$/, ''), egress, link])).toEqual([
      ['infernet-mine-a', 'public', false],
      ['infernet-mine.a.b', 'none', true],
      ['infernet-mine-b', 'open', false],
      ['infernet-mine.b.a', 'none', true],
      ['infernet-mine-c', 'none', false],
    ])
    const bridges = networks.map(({ bridge }) => bridge)
    expect(new Set(bridges).size).toBe(5)
    expect(bridges.every(bridge => /^ifn[0-9a-f]{11}$/.test(bridge))).toBe(true)
    const others = networksOf('other', { containers }).map(({ bridge }) => bridge)
    expect(bridges.filter(bridge => others.includes(bridge))).toEqual([])
  })

  test('behavior: who is named in a link has a name there', () => {
    const { joints } = placeOf('mine', containers[0]!, containers)
    expect(joints.map(({ alias }) => alias)).toEqual([null, 'a'])
    expect(placeOf('mine', containers[2]!, containers).joints).toEqual([])
  })
})

describe('spareSubnets', () => {
  test('default: each of 198.19.0.0/16 once, and bridges begin in different places', () => {
    const all = [...spareSubnets('ifn0123456789a')]
    expect(new Set(all).size).toBe(8192)
    expect(all.every(subnet => /^198\.19\.\d+\.\d+\/29$/.test(subnet))).toBe(true)
    expect(all.map(subnet => `${ipaddr.IPv4.networkAddressFromCIDR(subnet)}/29`)).toEqual(all)
    expect(all[0]).not.toBe([...spareSubnets('ifn0123456789b')][0])
  })
})

describe('hasNetAdmin', () => {
  test('default: by what is in effect, not by what may be', () => {
    const status = (effective: string) => `Name:\tnode\nCapPrm:\t000001ffffffffff\nCapEff:\t${effective}\n`
    expect(hasNetAdmin(status('0000000000001000'))).toBe(true)
    expect(hasNetAdmin(status('000001ffffffffff'))).toBe(true)
    // Root in a container of Docker's.
    expect(hasNetAdmin(status('00000000a80425fb'))).toBe(false)
    expect(hasNetAdmin('Name:\tnode\n')).toBe(false)
  })
})

describe('createConfinement', () => {
  /** Rules as they were told, for a table that keeps none of them: each look finds them gone. */
  function forgetful() {
    const restored: string[][] = []
    const table: Iptables = {
      family: 4,
      layer: 'filter',
      save: async () => '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n',
      restore: async lines => void restored.push([...lines]),
    }
    return { restored, host: { ...usual, tables: [table] } }
  }
  const quiet = () => {}

  test('behavior: an engine that hangs holds up no rule, and with one network no container', async () => {
    const fake = await startFakeEngine()
    const engine = createEngine(fake.dockerHost)
    const controller = new AbortController()
    const { signal } = controller
    onTestFinished(async () => {
      controller.abort()
      await engine.close()
    })
    const Labels = { 'infernet.runner': 'mine' }
    const body = { Name: 'infernet-mine-gone', Labels, Options: {} }
    await tellEngine(engine, { method: 'POST', path: '/networks/create', body })
    fake.state.hangs = ({ method }) => method === 'DELETE'
    const { restored, host } = forgetful()
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
    const config = configOf([
      { id: 'a', image: 'x' },
      { id: 'b', image: 'x' },
    ])
    const confinement = createConfinement({ scope: 'mine', engine, host, log, signal })
    confinement.configure(config, config.containers)
    void confinement.watch()
    const places = await Promise.all(config.containers.map(confinement.place))
    expect(places).toMatchObject([{ network: 'infernet-mine-a' }, { network: 'infernet-mine-b' }])
    expect(fake.asked('/networks/network-0').map(({ method }) => method)).toEqual(['DELETE'])
    fake.state.hangs = () => true
    const [set, asked] = [restored.length, fake.asked('/networks?').length]
    await eventually(() => fake.asked('/networks?').length > asked && restored.length > set)
  })

  test('behavior: once the rules are taken away no container is given a place', async () => {
    const fake = await startFakeEngine()
    const engine = createEngine(fake.dockerHost)
    onTestFinished(() => engine.close())
    const { host } = forgetful()
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
    const config = configOf([{ id: 'a', image: 'x' }])
    const { signal } = new AbortController()
    const confinement = createConfinement({ scope: 'mine', engine, host, log, signal })
    confinement.configure(config, config.containers)
    const end = confinement.end()
    await expect(confinement.place(config.containers[0]!)).rejects.toThrow('The runner has ended')
    await end
    expect(fake.asked('/networks/create')).toEqual([])
  })

  test('behavior: rules are set while the engine is away', async () => {
    const { restored, host } = forgetful()
    const controller = new AbortController()
    const { signal } = controller
    const engine = createEngine('unix:///nowhere/docker.sock')
    const log = { debug: () => controller.abort(), info: quiet, warn: quiet, error: quiet }
    const config = configOf([{ id: 'a', image: 'x', egress: 'none' }])
    const confinement = createConfinement({ scope: 'mine', engine, host, log, signal })
    confinement.configure(config, config.containers)
    await confinement.watch()
    await engine.close()
    const bridge = networksOf('mine', config)[0]?.bridge
    expect(restored).toHaveLength(1)
    expect(restored[0]).toContain(
      `-A INFERNET-mine-INPUT -i ${bridge} -j REJECT --reject-with icmp-admin-prohibited`,
    )
    expect(restored[0]?.slice(-2)).toEqual([
      '-I FORWARD 1 -j INFERNET-mine-FORWARD',
      '-I INPUT 1 -j INFERNET-mine-INPUT',
    ])
  })
})

describe('isolationProblems', () => {
  const config = configOf([
    { id: 'a', image: 'x' },
    { id: 'b', image: 'x', egress: 'none' },
    {
      id: 'c',
      image: 'x',
      egress: 'open',
      capabilities: ['SYS_ADMIN'],
      volumes: ['/:/host:ro', '/data:/data'],
    },
    { id: 'd', url: 'http://far', egress: 'none' },
  ])
  const found = (unusual: Partial<Host>, why: string | null = null) =>
    isolationProblems(config, { ...usual, ...unusual }, () => why)
      .filter(({ container }) => container !== 'c')
      .map(({ container, what }) => `${container}: ${what}`)

  test('default: none where rules can be set, but what hands over the host', () => {
    expect(isolationProblems(config, usual)).toEqual([
      {
        container: 'c',
        what: 'capability SYS_ADMIN gives it the host',
        fix: 'leave it out of capabilities',
        asked: true,
      },
      {
        container: 'c',
        what: 'a volume of it gives it the host',
        fix: 'leave / out of volumes',
        asked: true,
      },
    ])
  })

  test('behavior: the user, the platform, an engine elsewhere, what iptables has said', () => {
    expect(found({ uid: 501, mayChangeNetwork: false, platform: 'darwin' })).toEqual([
      'a: egress "public" is not kept: the host is darwin',
      'b: egress "none" is not kept: the host is darwin',
    ])
    expect(found({ uid: 1000 })).toEqual([])
    const [, refused] = found({ uid: 1000, mayChangeNetwork: false })
    expect(refused).toBe(
      'b: egress "none" is not kept: the runner (its user is 1000) may not set firewall rules',
    )
    expect(found({ dockerHost: 'tcp://me:hunter2@gpu:2375' })[1]).toContain(
      "Docker's engine is at tcp://gpu:2375,",
    )
    expect(found({ dockerHost: 'unix:///run/docker.sock' })).toEqual([])
    expect(found({}, 'ip6tables is not installed')[1]).toContain('not kept: ip6tables is not installed')
  })
})

describe('handedOver', () => {
  const given = (source: string, host: Pick<Host, 'dockerHost' | 'realPath'> = usual) =>
    handedOver({ capabilities: [], volumes: [`${source}:/inside`] }, host).length > 0

  test.each([
    ...[
      '/',
      '//',
      '/.',
      '/../',
      '/var/run/../../',
      '/srv/../etc',
      '/var',
      '/var/',
      '/var/lib',
      '/usr',
      '/usr/local',
    ],
    ...[
      '/boot',
      '/bin',
      '/lib/modules',
      '/dev/sda',
      '/dev/shm',
      '/proc/sys',
      '/sys/fs/cgroup',
      '/etc/cron.d',
    ],
    ...['/root', '/root/.ssh', '/home', '/home/ann', '/home/ann/', '/home/ann/.ssh', '/home/ann/.ssh/keys'],
    ...['/var/lib/docker', '/var/lib/docker/volumes', '/run/containerd/containerd.sock', '/run/containerd'],
    ...['/srv/docker.sock', '/tmp/podman/podman.sock', '/srv/docker-tls.sock'],
  ])('default: %s gives the host', source => {
    expect(given(source)).toBe(true)
  })

  test.each([
    '/srv',
    '/srv/models',
    '/data/etc',
    '/mnt/usr',
    '/home/ann/models',
    '/opt/x',
    '/etcetera',
    'named',
  ])('default: %s does not', source => {
    expect(given(source)).toBe(false)
  })

  test('behavior: what Docker makes inside a container is none of the host, whatever its name', () => {
    expect(handedOver({ capabilities: [], volumes: ['/etc'] }, usual)).toEqual([])
  })

  test('behavior: a link is what it leads to, also above what is not there yet', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'infernet-links-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    await symlink('/etc', join(directory, 'link'))
    const { realPath } = readHost(undefined)
    const host = { dockerHost: null, realPath }
    expect(given(join(directory, 'link'), host)).toBe(true)
    expect(given(join(directory, 'link', 'new', 'newer'), host)).toBe(true)
    expect(given(join(directory, 'plain'), host)).toBe(false)
  })

  test("behavior: the engine's own socket, wherever it is, and what it is in", () => {
    const host = { ...usual, dockerHost: 'unix:///srv/engine/api' }
    expect(['/srv/engine/api', '/srv/engine', '/srv', '/srv/other'].map(path => given(path, host))).toEqual([
      true,
      true,
      true,
      false,
    ])
  })

  test('behavior: capabilities that reach beyond a container, and those that images ask for', () => {
    const told = (names: string[]) =>
      handedOver({ capabilities: names, volumes: [] }, usual).map(({ what }) => what.split(' ')[1])
    const master = [
      'ALL',
      'SYS_ADMIN',
      'SYS_MODULE',
      'SYS_RAWIO',
      'MKNOD',
      'DAC_READ_SEARCH',
      'BPF',
      'PERFMON',
    ]
    const others = [
      'SYSLOG',
      'SYS_TIME',
      'SYS_BOOT',
      'MAC_ADMIN',
      'MAC_OVERRIDE',
      'AUDIT_CONTROL',
      'AUDIT_READ',
    ]
    expect(told([...master, ...others])).toEqual([...master, ...others])
    expect(told(['CHOWN', 'SETUID', 'SETGID', 'DAC_OVERRIDE', 'NET_BIND_SERVICE', 'SYS_NICE'])).toEqual([])
  })
})

describe('createDiskWatch', () => {
  test('default: looks again when it has rested nineteen times as long as it took', async () => {
    let time = 0
    let looks = 0
    const watch = createDiskWatch({
      limitBytes: 100,
      measure: async () => {
        looks++
        time += 1_000
        return 100
      },
      now: () => time,
    })
    expect(await watch.excess()).toBe(null)
    time += 18_999
    await watch.excess()
    expect(looks).toBe(1)
    time += 1
    await watch.excess()
    expect(looks).toBe(2)
  })

  test('behavior: an engine that refuses to measure is asked ever later, until it does', async () => {
    let time = 0
    let looks = 0
    let refuses = true
    const measure = async () => {
      looks++
      if (refuses) throw new Error('a disk usage operation is already running')
      return 0
    }
    const watch = createDiskWatch({ limitBytes: 1, measure, now: () => time })
    // As often as one looks, for an hour.
    for (; time < 3_600_000; time += 10_000) await watch.excess().catch(() => {})
    expect(looks).toBeGreaterThan(30)
    expect(looks).toBeLessThan(180)
    refuses = false
    looks = 0
    for (const end = time + 600_000; time < end; time += 10_000) await watch.excess()
    expect(looks).toBeGreaterThan(40)
  })

  test('behavior: tells what is too much; nothing is measured without a limit', async () => {
    const measured = (limitBytes: number | null, bytes: number | null) =>
      createDiskWatch({ limitBytes, measure: async () => bytes }).excess()
    expect(await measured(100, 101)).toBe(101)
    expect(await measured(100, null)).toBe(null)
    expect(await measured(null, 101)).toBe(null)
  })

  test('behavior: comes back ever later, until it has stood for an hour', () => {
    let time = 0
    const watch = createDiskWatch({ limitBytes: 1, measure: async () => 0, now: () => time })
    const longest = () => Math.max(...Array.from({ length: 50 }, () => watch.stopped()))
    expect(longest()).toBeGreaterThan(60_000)
    time += 3_600_001
    expect(watch.stopped()).toBeLessThanOrEqual(10_000)
  })
})

test('error: a firewall program that does not end is ended, and that is said', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-iptables-'))
  const program = join(directory, 'iptables-save')
  await writeFile(program, '#!/bin/sh\nexec sleep 600\n')
  await chmod(program, 0o755)
  vi.stubEnv('PATH', `${directory}:${process.env.PATH}`)
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(async () => {
    vi.useRealTimers()
    vi.unstubAllEnvs()
    await rm(directory, { recursive: true, force: true })
  })
  const saved = expect(createIptables(4).save()).rejects.toThrow('iptables-save does not end')
  await vi.advanceTimersByTimeAsync(15_000)
  await saved
})

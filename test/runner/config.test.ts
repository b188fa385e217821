import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RegisterRequest } from '../../src/protocol/runner.ts'
import { loadConfig, parseConfig } from '../../src/runner/config/load.ts'
import { policyOf } from '../../src/runner/config/policy.ts'
import { ConfigError } from '../../src/runner/config/problem.ts'

const edge = { url: 'https://edge.example.com/base/', key_file: 'runner.key' }
const place = { path: '/etc/infernet/config.json', env: {} }

function parse(file: object, env = {}) {
  return parseConfig(JSON.stringify({ edge, ...file }), { ...place, env })
}

function problemsOf(source: string) {
  try {
    parseConfig(source, place)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
  }
  throw new Error('accepted')
}

describe('parseConfig', () => {
  test("default: the reference's defaults, and ours", () => {
    const { config, warnings } = parse({ containers: [{ id: 'one', image: 'org/one' }] })
    expect(warnings).toEqual([])
    expect(config).toMatchInlineSnapshot(`
      {
        "containers": [
          {
            "accepted_payments": {},
            "allowed_addresses": [],
            "allowed_delegate_addresses": [],
            "allowed_ips": [],
            "api": "infernet",
            "baseUrl": "http://localhost:3000",
            "bearer": "",
            "capabilities": [],
            "command": "",
            "connectTimeoutMs": 10000,
            "description": "",
            "egress": "public",
            "egressAsked": false,
            "env": {},
            "external": true,
            "generates_proofs": false,
            "gpu": false,
            "healthPath": "/health",
            "httpErrors": "failure",
            "id": "one",
            "image": "org/one",
            "innerPort": 3000,
            "limits": {
              "cpus": null,
              "diskBytes": null,
              "memoryBytes": null,
              "pids": 4096,
              "shmBytes": 1073741824,
              "tmpfsBytes": null,
            },
            "links": [],
            "managed": true,
            "openai": false,
            "port": 3000,
            "pull": "missing",
            "pullTimeoutMs": 3600000,
            "read_only": false,
            "readyTimeoutMs": 600000,
            "signed_data": false,
            "slots": 1,
            "startTimeoutMs": 60000,
            "timeoutMs": 180000,
            "url": "",
            "volumes": [],
            "wantedPort": 3000,
          },
        ],
        "docker": null,
        "dockerConfig": "/.docker/config.json",
        "drainTimeoutMs": 60000,
        "edge": {
          "audience": "https://edge.example.com",
          "keyFile": "/etc/infernet/runner.key",
          "url": "https://edge.example.com/base",
        },
        "inDocker": false,
        "keepRunning": false,
        "labels": {},
        "listen": {
          "host": "127.0.0.1",
          "port": 4001,
        },
        "minFreeDisk": 268435456,
        "requireIsolation": false,
        "spool": {
          "directory": "/etc/infernet/.infernet-runner",
          "maxBytes": 1073741824,
        },
        "streamPartMs": 30000,
      }
    `)
  })

  test('behavior: what is not an API, a path, or an address is told with what would be', () => {
    const container = { id: 'a', image: 'i', api: 'grpc', health: 'ready', inner_port: 0, connect_timeout: 0 }
    const problems = problemsOf(JSON.stringify({ edge, listen: '4001', containers: [container] }))
    expect(problems.map(({ path, what }) => `${path} ${what}`)).toEqual([
      'containers[0].api must be "infernet" or "cog"',
      'containers[0].inner_port must be at least 1',
      'containers[0].health must be a path that begins with /',
      'containers[0].connect_timeout must be more than 0 seconds',
      'listen must be an address and a port, such as "127.0.0.1:4001" or "[::1]:4001", or "" for none',
    ])
  })

  test("behavior: Cog's containers do not speak OpenAI's API", () => {
    const container = { id: 'a', image: 'i', api: 'cog', openai: 'yes' }
    const problems = problemsOf(
      JSON.stringify({ edge, containers: [container, { ...container, id: 'b', openai: 0 }] }),
    )
    expect(problems.map(({ path }) => path)).toEqual(['containers[0].openai'])
  })

  test('behavior: Cog has a port and a health path of its own, which can be changed', () => {
    const { config } = parse({
      listen: '[::1]:9000',
      containers: [
        { id: 'a', image: 'i', api: 'cog' },
        { id: 'b', image: 'i', api: 'cog', inner_port: 80, health: '/up' },
      ],
    })
    expect(config.listen).toEqual({ host: '::1', port: 9000 })
    expect(config.containers.map(({ innerPort, healthPath }) => [innerPort, healthPath])).toEqual([
      [5000, '/health-check'],
      [80, '/up'],
    ])
  })

  test('behavior: numbers and booleans may be text', () => {
    const { config } = parse({
      manage_containers: 'false',
      slots: '4',
      timeout: '1.5',
      containers: [
        { id: 'a', port: '3005', external: 'no', slots: ' 2 ' },
        { id: 'b', gpu: 1 },
      ],
    })
    expect(config.containers).toMatchObject([
      {
        port: 3005,
        external: false,
        slots: 2,
        timeoutMs: 1500,
        managed: false,
        baseUrl: 'http://localhost:3005',
      },
      { port: 3000, gpu: true, slots: 4, timeoutMs: 1500 },
    ])
  })

  test('behavior: amounts beyond 2^53 keep every digit', () => {
    const [one = '', two = '', three = ''] = ['A', 'B', 'C'].map(digit => `0x${digit.repeat(40)}`)
    const source = `{"edge":${JSON.stringify(edge)},"containers":[{"id":"a","image":"a","accepted_payments":{"${one}":123456789012345678901,"${two}":"7","${three}":1e18}}]}`
    expect(parseConfig(source, place).config.containers[0]?.accepted_payments).toEqual({
      [one]: '123456789012345678901',
      [two]: '7',
      [three]: '1000000000000000000',
    })
  })

  test('behavior: a port that an earlier container has is replaced from 3999 downwards', () => {
    const ports = (...wanted: object[]) =>
      parse({
        containers: wanted.map((entry, index) => ({ id: `c${index}`, image: 'x', ...entry })),
      }).config.containers.map(({ port }) => port)
    expect(ports({}, {}, {})).toEqual([3000, 3999, 3998])
    expect(ports({ port: 3999 }, {}, {}, {})).toEqual([3999, 3000, 3998, 3997])
    expect(ports({ url: 'http://far' }, {}, {})).toEqual([3000, 3000, 3999])
  })

  test('behavior: a container with a url is called there and not started', () => {
    const { config } = parse({ containers: [{ id: 'a', url: 'http://gpu:8000/base', bearer: 's' }] })
    expect(config.containers[0]).toMatchObject({
      managed: false,
      baseUrl: 'http://gpu:8000/base',
      bearer: 's',
    })
  })

  test('behavior: inside Docker the host has another name', () => {
    const { config } = parse({ containers: [{ id: 'a', image: 'x' }] }, { RUNTIME: 'docker' })
    expect(config).toMatchObject({
      inDocker: true,
      containers: [{ baseUrl: 'http://host.docker.internal:3000' }],
    })
  })

  test('behavior: the environment names the edge and the key', () => {
    const env = { INFERNET_EDGE_URL: 'http://127.0.0.1:9', INFERNET_KEY_FILE: '/run/secrets/key' }
    const { config } = parseConfig('{}', { ...place, env })
    expect(config.edge).toEqual({
      url: 'http://127.0.0.1:9',
      audience: 'http://127.0.0.1:9',
      keyFile: '/run/secrets/key',
    })
  })

  test('behavior: every problem at once, each with its path and what to do', () => {
    const problems = problemsOf(
      JSON.stringify({
        edge: { url: 'ftp://x' },
        slots: 0,
        http_errors: 'maybe',
        docker: { username: 'u' },
        containers: [
          { id: 'a', port: 'x-secret' },
          { id: 'a', image: 'x', port: 70000 },
          { id: 'a,b', image: 'x' },
          { image: 'x', env: { A: {} } },
          { id: 'list', image: 'x', env: [], accepted_payments: [] },
          { id: 'ok', image: 'x', accepted_payments: { '0x1': -1 }, allowed_ips: 'all' },
        ],
      }),
    )
    expect(problems.map(({ path, what }) => `${path}: ${what}`)).toMatchInlineSnapshot(`
      [
        "edge.url: must be a URL that begins with http:// or https://",
        "edge.key_file: is missing",
        "docker.password: is missing",
        "containers[0].port: must be a number, such as 3000 or "3000"",
        "containers[1].port: must be at most 65535",
        "containers[2].id: must be 1-128 of A-Z a-z 0-9 _ . - and begin with a letter or digit",
        "containers[3].id: is missing",
        "containers[3].env.A: must be text or a number",
        "containers[4].accepted_payments: must be an object in braces",
        "containers[4].env: must be an object in braces",
        "containers[5].accepted_payments.0x1: must be an address: 0x and 40 hexadecimal digits",
        "containers[5].accepted_payments.0x1: must be a whole number of base units, 0 or more",
        "containers[5].allowed_ips: must be a list of texts, such as ["one", "two"]",
        "slots: must be at least 1",
        "http_errors: must be "failure" or "success"",
        "containers[0].image: image must be defined when manage_containers is set to true",
        "containers[1].id: has the same id as containers[0]",
      ]
    `)
    expect(problems.every(({ fix }) => fix.length > 5)).toBe(true)
    expect(JSON.stringify(problems)).not.toContain('x-secret')
  })

  test('behavior: bad JSON is told by its place, without what stands there', () => {
    expect(problemsOf('{\n "bearer": hush }')[0]?.what).toBe(
      '/etc/infernet/config.json is not JSON: see line 2 column 12',
    )
    expect(problemsOf('{"a"')[0]?.what).toContain('is not JSON')
    expect(problemsOf('7')[0]?.what).toBe('must be an object in braces')
  })

  test("behavior: keys that are not read are named, the edge's as such, values never", () => {
    const { warnings } = parse({
      chain: { enabled: true, rpc_url: 'http://key@rpc', wallet: { private_key: '0xdead' } },
      server: { port: 4000 },
      log: { path: 'x' },
      forward_stats: true,
      startup_wait: 5,
      colour: 'vermilion',
      containers: [{ id: 'a', image: 'x', rate_limit: 3 }],
    })
    expect(warnings.map(warning => warning.split(':')[0])).toEqual([
      'chain.enabled is set on the edge',
      'chain.rpc_url is set on the edge',
      'chain.wallet.private_key is set on the edge',
      'server.port is set on the edge',
      'log.path is set on the edge',
      'forward_stats is set on the edge',
      'startup_wait is not needed',
      'colour is not a known key and is ignored',
      'containers[0].rate_limit is not a known key and is ignored',
    ])
    expect(warnings.join()).not.toMatch(/0xdead|key@rpc|vermilion/)
  })
})

describe('what the edge would refuse, or bar clients by', () => {
  const told = (...containers: object[]) => {
    const named = containers.map((container, index) => ({ id: `c${index}`, image: 'i', ...container }))
    return problemsOf(JSON.stringify({ edge, containers: named })).map(({ path, what }) => `${path} ${what}`)
  }
  const address = `0x${'aB'.repeat(20)}`

  test('default: what is as large as can be is registered', () => {
    const most = {
      description: 'x'.repeat(4096),
      image: `${'x'.repeat(1022)}:1`,
      allowed_ips: Array.from({ length: 4096 }, () => '10.0.0.0/8'),
      allowed_addresses: [address],
      allowed_delegate_addresses: [address.toUpperCase().replace('X', 'x')],
      accepted_payments: { [address]: '9'.repeat(78) },
    }
    const { config } = parse({ containers: [{ id: 'a', ...most }] })
    const request = {
      instance: crypto.randomUUID(),
      version: '1',
      containers: config.containers.map(policyOf),
    }
    expect(v.safeParse(RegisterRequest, request).issues).toBeUndefined()
  })

  test('behavior: what is larger is a problem, by itself and all together', () => {
    expect(
      told(
        { description: 'x'.repeat(4097), image: 'x'.repeat(1025) },
        { allowed_ips: Array.from({ length: 4097 }, () => '10.0.0.1') },
      ),
    ).toEqual([
      'containers[0].image must have at most 1024 characters',
      'containers[0].description must have at most 4096 characters',
      'containers[1].allowed_ips must have at most 4096 entries',
    ])
    const wordy = { description: 'x'.repeat(4096) }
    expect(told(...Array.from({ length: 64 }, () => wordy))).toEqual([
      'containers say more together than the edge takes, 262144 characters',
    ])
  })

  test('behavior: an address that nobody can have is a problem', () => {
    const ip = 'must be an IP address or a network, such as "192.0.2.7" or "10.0.0.0/8"'
    const wrong = [
      ...['not-an-ip', '10.0.0.0/99', '10.0.0.0/', '10.0.0', '', ' 10.0.0.1', '256.0.0.1', '/8'],
      ...['10.0.0.0/255.0.255.0', '2001:db8::/129', '10.0.0.1,10.0.0.2', `${'1'.repeat(65)}`],
      ...['10.0.0.0/255.0.0', '2001:db8::/255.0.0.0', '2001:db8::/ffff::'],
    ]
    expect(told({ allowed_ips: wrong })).toEqual(
      wrong.map((_, index) => `containers[0].allowed_ips[${index}] ${ip}`),
    )
    const mapped =
      'is IPv4 inside IPv6, which no client comes by: write the network as IPv4, such as "10.0.0.0/8" for "::ffff:10.0.0.0/104"'
    const networks = ['::ffff:10.0.0.0/104', '::ffff:0:0/96', '::FFFF:192.0.2.1/128']
    expect(told({ allowed_ips: ['::/0', ...networks] })).toEqual(
      networks.map((_, index) => `containers[0].allowed_ips[${index + 1}] ${mapped}`),
    )
    const account = 'must be an address: 0x and 40 hexadecimal digits'
    expect(
      told({
        allowed_addresses: ['0x123', address.slice(2)],
        allowed_delegate_addresses: [`${address} `],
        accepted_payments: { foo: 1 },
      }),
    ).toEqual([
      `containers[0].accepted_payments.foo ${account}`,
      `containers[0].allowed_addresses[0] ${account}`,
      `containers[0].allowed_addresses[1] ${account}`,
      `containers[0].allowed_delegate_addresses[0] ${account}`,
    ])
  })

  test('default: what names clients does', () => {
    const allowed_ips = ['192.0.2.7', '10.1.2.3/8', '0.0.0.0/0', '::1', '2001:db8::/32', '::ffff:192.0.2.1']
    expect(
      parse({ containers: [{ id: 'a', image: 'i', allowed_ips }] }).config.containers[0]?.allowed_ips,
    ).toEqual(allowed_ips)
  })

  test('behavior: a mask of a network is its prefix, as the edge reads it', () => {
    const allowed_ips = ['10.0.0.0/255.0.0.0', '192.0.2.7/255.255.255.255', '0.0.0.0/0.0.0.0']
    expect(
      parse({ containers: [{ id: 'a', image: 'i', allowed_ips }] }).config.containers[0]?.allowed_ips,
    ).toEqual(['10.0.0.0/8', '192.0.2.7/32', '0.0.0.0/0'])
  })
})

describe('what Docker would refuse', () => {
  const wrong = {
    image: 'BAD IMAGE?x=1',
    command: `serve --say "it's`,
    env: { '': 'a', 'A=B': 'c', OK: 'd' },
    volumes: [
      ...['x', './data:/data', '/data:data', '/a:/b:ro:z', ':/a', 'm:/a', '/', '/data:/'],
      ...['', '/a:', '/a::', '/a::ro', '/a:/b::'],
    ],
    capabilities: ['FOO'],
  }
  const capability = 'must be the name of a Linux capability, such as "SYS_NICE"'
  const problems = (container: object, more: object = {}) =>
    problemsOf(JSON.stringify({ edge, ...more, containers: [{ id: 'a', ...container }] }))

  test('behavior: it is told with what to write, and without what was there', () => {
    const found = problems(wrong)
    const bind = 'is no bind of Docker'
    expect(found.map(({ path, what }) => `${path} ${what}`)).toEqual([
      `containers[0].capabilities[0] ${capability}`,
      'containers[0].image is no name of an image',
      'containers[0].command has a quote that is not closed, or ends in a backslash',
      'containers[0].env. is no name of an environment variable',
      'containers[0].env.A=B is no name of an environment variable',
      ...wrong.volumes.map((_, index) => `containers[0].volumes[${index}] ${bind}`),
    ])
    expect(found.every(({ fix }) => fix.length > 5)).toBe(true)
    expect(JSON.stringify(found)).not.toMatch(/BAD|it's|\.\/data/)
  })

  test.each([
    'BAD',
    'org/model:',
    'org/model:1.0 ',
    'https://example.com/model',
    'org//model',
    'org/model@sha256:12',
    '-x',
    'org/model:-1',
  ])('behavior: %s is no image', image => {
    expect(problems({ image }).map(({ path }) => path)).toEqual(['containers[0].image'])
  })

  test.each([
    'model',
    'org/my-model_x.y__z:1.0-beta',
    'localhost/x',
    'Registry.example.com:5000/a/b/c:latest',
    '[::1]:5000/x',
    `org/model:1@sha256:${'a'.repeat(64)}`,
    `sha256:${'a'.repeat(64)}`,
    '0123456789ab',
  ])('default: %s is one', image => {
    expect(parse({ containers: [{ id: 'a', image }] }).config.containers[0]?.image).toBe(image)
  })

  test('default: what it takes is taken', () => {
    const container = {
      image: 'i',
      command: String.raw`serve "a \" b" 'c \' d\' e`,
      env: { 'my.name-1': 1, 'with space': '' },
      volumes: ['/data', '/a b:/c:ro', 'models:/models:rw,z', '/x:/y/:rslave', '/a:/b:', 'name:/b:'],
      capabilities: ['cap_net_bind_service', 'all'],
    }
    expect(parse({ containers: [{ id: 'a', ...container }] }).config.containers[0]).toMatchObject({
      ...container,
      env: { 'my.name-1': '1', 'with space': '' },
      capabilities: ['NET_BIND_SERVICE', 'ALL'],
    })
  })

  test('behavior: of a container that is not started here it does nothing, which is all that is said', () => {
    const { capabilities: _, ...rest } = wrong
    for (const [container, more] of [
      [{ ...rest, url: 'http://far' }, {}],
      [rest, { manage_containers: 'off' }],
    ] as const)
      expect(
        parse({ ...more, containers: [{ id: 'a', ...container }] }).warnings.map(text => text.split(' ')[0]),
      ).toEqual(['command', 'env', 'volumes'].map(key => `containers[0].${key}`))
  })
})

describe('a container that is not started here', () => {
  const all = {
    command: 'serve --now',
    env: { A: 'hunter2' },
    volumes: ['/data:/data'],
    inner_port: 1,
    limits: { memory: '1g' },
    capabilities: ['CHOWN'],
    read_only: true,
    pull: 'always',
    pull_timeout: 1,
    start_timeout: 1,
    ready_timeout: 1,
    port: 4000,
    gpu: { count: 1 },
    egress: 'none',
  }
  const idle = (index: number, why: string, keys = Object.keys(all)) =>
    keys.map(
      key =>
        `containers[${index}].${key} does nothing, since the container is not started here (${why}): configure it where it runs`,
    )

  test('behavior: what it says of its start is named, without its value', () => {
    const containers = [
      { id: 'here', image: 'i', ...all },
      { id: 'far', url: 'http://far', ...all },
    ]
    expect(parse({ containers }).warnings).toEqual(idle(1, 'it has a `url`'))
    const off = parse({ containers, manage_containers: 'off' }).warnings
    const served = Object.keys(all).filter(key => key !== 'port')
    expect(off).toEqual([...idle(0, 'manage_containers is off', served), ...idle(1, 'it has a `url`')])
  })

  test("default: what the reference's configurations carry and what counts elsewhere is not", () => {
    const carried = {
      port: 3000,
      command: '',
      env: {},
      volumes: [],
      gpu: true,
      external: true,
      read_only: 'no',
    }
    const known = { image: 'i', egress: 'open', slots: 2, timeout: 1, health: '/up', bearer: 'b' }
    expect(parse({ containers: [{ id: 'far', url: 'http://far', ...carried, ...known }] }).warnings).toEqual(
      [],
    )
  })
})

describe('what containers may be and use', () => {
  test("default: a container's own keys, else the root's, limit by limit", () => {
    const { config, warnings } = parse({
      egress: 'none',
      limits: { memory: '1.5GiB', pids: 100, colour: 1 },
      require_isolation: 'yes',
      containers: [
        {
          id: 'a',
          image: 'x',
          limits: { pids: '200', disk: 2 ** 30 },
          capabilities: ['cap_sys_nice', 'CHOWN'],
        },
        { id: 'b', image: 'x', egress: 'open', links: ['a'], read_only: true, limits: { cpu: 1 } },
      ],
    })
    const limits = { memoryBytes: 1.5 * 2 ** 30, cpus: null, shmBytes: 2 ** 30, tmpfsBytes: null }
    expect(config).toMatchObject({
      requireIsolation: true,
      containers: [
        {
          egress: 'none',
          egressAsked: true,
          limits: { ...limits, pids: 200, diskBytes: 2 ** 30 },
          capabilities: ['SYS_NICE', 'CHOWN'],
        },
        {
          egress: 'open',
          links: ['a'],
          limits: { ...limits, pids: 100, diskBytes: null, tmpfsBytes: 2 ** 30 },
        },
      ],
    })
    expect(warnings).toEqual([
      'limits.colour is not a known key and is ignored',
      'containers[1].limits.cpu is not a known key and is ignored',
    ])
  })

  test('behavior: where isolation is required, one that runs elsewhere says that it has none here', () => {
    const here = { id: 'here', image: 'x' }
    const far = { id: 'far', url: 'http://far' }
    const placesOf = (more: object, containers: object[]) => {
      const found = problemsOf(JSON.stringify({ edge, require_isolation: true, ...more, containers }))
      return found.map(({ path, what, fix }) => `${path}: ${what}. ${fix}`)
    }
    const said =
      'cannot be kept, and require_isolation is set: the container is not started here. ' +
      'set it to "open" and isolate the container where it runs, or have it started here from an image'
    expect(placesOf({}, [here, far])).toEqual([`containers[1].egress: ${said}`])
    expect(placesOf({ egress: 'open' }, [far, { ...far, id: 'none', egress: 'none' }])).toEqual([
      `containers[1].egress: ${said}`,
    ])
    expect(placesOf({ manage_containers: 'no' }, [here])).toEqual([`containers[0].egress: ${said}`])
    const known = [here, { ...far, egress: 'open' }]
    expect(parse({ require_isolation: true, containers: known }).config.requireIsolation).toBe(true)
    expect(parse({ require_isolation: 'off', containers: [far] }).config.requireIsolation).toBe(false)
  })

  test('behavior: problems, links to nowhere among them', () => {
    const problems = problemsOf(
      JSON.stringify({
        edge,
        egress: 'some',
        limits: { memory: '1m', disk: 'lots', cpus: 0 },
        containers: [
          { id: 'a', image: 'x', links: ['a', 'far', 'none', 'b'], capabilities: ['NET-ADMIN'] },
          { id: 'b', image: 'x', limits: { memory: 'lots', pids: 0, shm: -1 } },
          { id: 'far', url: 'http://far', links: ['a'] },
        ],
      }),
    )
    expect(problems.map(({ path, what }) => `${path}: ${what}`)).toMatchInlineSnapshot(`
      [
        "containers[0].capabilities[0]: must be the name of a Linux capability, such as "SYS_NICE"",
        "containers[1].limits.memory: must be a size, such as 1073741824 or "1g", or "unlimited"",
        "containers[1].limits.pids: must be at least 1",
        "containers[1].limits.shm: must be a size, such as 1073741824 or "1g"",
        "egress: must be "open", "public" or "none"",
        "limits.memory: must be at least 6291456 bytes",
        "limits.cpus: must be at least 0.01",
        "limits.disk: must be a size, such as 1073741824 or "1g"",
        "containers[0].links[0]: is the container itself",
        "containers[0].links[1]: is no container that is started here",
        "containers[0].links[2]: is no container that is started here",
        "containers[2].links[0]: is a link of a container that is not started here",
      ]
    `)
  })
})

describe('loadConfig', () => {
  test('default: from the path chosen, else from the environment', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'infernet-config-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    await writeFile(join(directory, 'one.json'), JSON.stringify({ edge, spool: 'here' }))
    const { config } = await loadConfig(
      { INFERNET_CONFIG_PATH: join(directory, 'none.json') },
      join(directory, 'one.json'),
    )
    expect(config.spool.directory).toBe(join(directory, 'here'))
    const other = await loadConfig({ INFERNET_CONFIG_PATH: join(directory, 'one.json') })
    expect(other.config).toEqual(config)
  })

  test('behavior: a missing file is a problem of the configuration', async () => {
    await expect(loadConfig({ INFERNET_CONFIG_PATH: '/none/config.json' })).rejects.toThrow(
      '/none/config.json does not exist. Fix: name the file with --config or INFERNET_CONFIG_PATH',
    )
  })
})

describe('memory', () => {
  const warned = (containers: object[], root: object = {}) => parse({ ...root, containers }).warnings
  const [one, two] = [
    { id: 'one', image: 'i' },
    { id: 'two', image: 'i' },
  ]

  test('default: who can take it from others on one host is named', () => {
    expect(warned([one, two, { ...one, id: 'three', limits: { memory: '1g' } }])).toEqual([
      'limits.memory is not set for one, two: each can take the memory of all others on this host',
    ])
  })

  test('default: nobody where there is one, where all have a limit, or where they run elsewhere', () => {
    expect(warned([one, { id: 'far', url: 'http://far' }])).toEqual([])
    expect(warned([one, two], { limits: { memory: '1g' } })).toEqual([])
    expect(warned([one, two], { manage_containers: false })).toEqual([])
  })

  test('behavior: who is unlimited by intent is named too, and may be so beside a usual limit', () => {
    const free = { ...two, limits: { memory: 'unlimited' } }
    const { config, warnings } = parse({ limits: { memory: '1g' }, containers: [one, free] })
    expect(config.containers.map(({ limits }) => limits.memoryBytes)).toEqual([
      2 ** 30,
      Number.POSITIVE_INFINITY,
    ])
    expect(warnings).toEqual([
      'limits.memory is not set for two: each can take the memory of all others on this host',
    ])
  })
})

describe('risks', () => {
  const told = (url: string, bearer = 'token') =>
    parse({ containers: [{ id: 'one', url, bearer }] }).risks.map(({ path, what }) => `${path} ${what}`)

  test.each(['http://model.example.com', 'http://203.0.113.7:3000', 'http://[2001:4860::1]'])(
    'default: a bearer to %s goes in the clear',
    url => {
      expect(told(url)).toEqual([
        'containers[0].bearer goes over the internet in the clear, for whoever is on the way',
      ])
      expect(told(url, '')).toEqual([])
      expect(told(url.replace('http:', 'https:'))).toEqual([])
    },
  )

  test.each([
    ...['http://localhost:1', 'http://127.0.0.1', 'http://[::1]', 'http://10.1.2.3', 'http://192.168.0.2'],
    ...[
      'http://172.17.0.1',
      'http://100.64.0.1',
      'http://[fd00::1]',
      'http://model:3000',
      'http://gpu.local',
    ],
    'http://host.docker.internal:3000',
  ])('default: to %s it stays near', url => {
    expect(told(url)).toEqual([])
  })

  test('behavior: a file with secrets that every user reads', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'infernet-config-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    const path = join(directory, 'config.json')
    const risks = async (file: object, mode: number) => {
      await writeFile(path, JSON.stringify({ edge, ...file }))
      await chmod(path, mode)
      return (await loadConfig({}, path)).risks
    }
    const here = { id: 'one', url: 'http://localhost', bearer: 'hush' }
    const secret = { docker: { username: 'u', password: 'hush' }, containers: [here] }
    expect(await risks(secret, 0o644)).toEqual([
      {
        path: '',
        what: `${path} has mode 644: every user of this host reads docker.password, bearer`,
        fix: `chmod 600 ${path}`,
      },
    ])
    const [env] = await risks({ containers: [{ id: 'one', image: 'i', env: { A: 'hush' } }] }, 0o604)
    expect(env?.what).toContain('reads env')
    expect(await risks(secret, 0o640)).toEqual([])
    expect(await risks({ containers: [{ id: 'one', image: 'i' }] }, 0o644)).toEqual([])
  })
})

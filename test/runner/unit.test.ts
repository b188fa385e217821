import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createTokenVerifier } from '../../src/edge/runners/token.ts'
import { createBackoff } from '../../src/runner/backoff.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import { createContainers } from '../../src/runner/containers.ts'
import { controlLoop } from '../../src/runner/control.ts'
import { createEngine } from '../../src/runner/docker/engine.ts'
import { dockerHub, registryOf, splitReference } from '../../src/runner/docker/reference.ts'
import { isMadeAlike } from '../../src/runner/docker/spec.ts'
import { lessReserve, usualMemory } from '../../src/runner/docker/usual-memory.ts'
import { splitWords } from '../../src/runner/docker/words.ts'
import { explainRefusal } from '../../src/runner/edge/clock.ts'
import { EdgeError } from '../../src/runner/edge/error.ts'
import { paceOf } from '../../src/runner/edge/retry.ts'
import { createPulse } from '../../src/runner/heartbeat/pulse.ts'
import { createValidator } from '../../src/runner/job/valid.ts'
import { createSigner } from '../../src/runner/key/signer.ts'
import { createLeases } from '../../src/runner/leases.ts'
import { createLog } from '../../src/runner/log.ts'
import { createSlots } from '../../src/runner/slots.ts'
import { takeBatch } from '../../src/runner/spool/entry.ts'
import { createTrouble } from '../../src/runner/trouble.ts'

describe('slots', () => {
  function start(slots: number) {
    const entries = ['a', 'b'].map(id => ({ id, url: 'http://x', slots }))
    const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, containers: entries })
    const containers = createContainers(
      parseConfig(source, { path: 'config.json', env: {} }).config.containers,
    )
    for (const { id } of entries) containers.change(id, { health: 'ready' })
    const made = createSlots(containers)
    const freed: string[] = []
    made.onFreed(id => void freed.push(id))
    return { slots: made, containers, freed }
  }
  const never = new AbortController().signal

  test('default: offers what is ready and free; tells when something is free again', () => {
    const { slots, containers, freed } = start(2)
    slots.reserve(['a'])
    slots.reserve(['a', 'b'])
    expect(slots.offers()).toEqual([{ route: 'b', slots: 1 }])
    slots.release(['a', 'b'])
    expect(freed).toEqual(['a'])
    containers.change('b', { health: 'unhealthy' })
    expect(slots.offers()).toEqual([{ route: 'a', slots: 1 }])
    containers.change('b', { health: 'ready' })
    expect(freed).toEqual(['a', 'b'])
  })

  test('behavior: what was offered and is not any more is told: a container that is down, or closed until it is opened', async () => {
    const { slots, containers, freed } = start(2)
    let withdrawn = 0
    slots.onClosed(() => withdrawn++)
    containers.change('a', { health: 'ready' })
    containers.change('b', { health: 'ready' })
    containers.change('a', { health: 'unhealthy' })
    containers.change('a', { health: 'unhealthy', detail: 'still' })
    expect(withdrawn).toBe(1)
    slots.reserve(['b'])
    slots.close('b')
    expect(withdrawn).toBe(2)
    expect(slots.offers()).toEqual([])
    expect(slots.enter('b', never)).toBe(true)
    const idle = slots.idle('b', never)
    freed.length = 0
    slots.release(['b'])
    await idle
    expect(freed).toEqual([])
    slots.open('b')
    expect(freed).toEqual(['b'])
    expect(slots.offers()).toEqual([{ route: 'b', slots: 2 }])
  })

  test('behavior: one that is closed twice is offered when it is opened twice', () => {
    const { slots, freed } = start(2)
    slots.close('a')
    slots.close('a')
    slots.open('a')
    expect(freed).toEqual([])
    expect(slots.offers()).toEqual([{ route: 'b', slots: 2 }])
    slots.open('a')
    expect(freed).toEqual(['a'])
    expect(slots.offers()).toHaveLength(2)
  })

  test('behavior: more jobs than slots take turns; one that is stopped leaves the line without taking a turn', async () => {
    const { slots } = start(1)
    const stopped = new AbortController()
    expect(slots.enter('a', never)).toBe(true)
    const second = slots.enter('a', stopped.signal)
    const third = slots.enter('a', never)
    stopped.abort()
    expect(await second).toBe(false)
    slots.leave('a')
    expect(await third).toBe(true)
    slots.leave('a')
    expect(slots.enter('a', never)).toBe(true)
  })

  test('behavior: one that is stopped already takes no turn and waits for none', async () => {
    const { slots } = start(1)
    const stopped = AbortSignal.abort()
    expect(await slots.enter('a', stopped)).toBe(false)
    expect(slots.enter('a', never)).toBe(true)
    expect(await Promise.race([slots.enter('a', stopped), 'waits'])).toBe(false)
  })
})

describe('containers', () => {
  test('behavior: of a cause the edge and jobs are told 1024 characters, whoever has named it', () => {
    const entries = [{ id: 'one', url: 'http://x' }]
    const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, containers: entries })
    const containers = createContainers(
      parseConfig(source, { path: 'config.json', env: {} }).config.containers,
    )
    const long = { code: 'exited', detail: 'x'.repeat(10_000) } as const
    containers.change('one', { health: 'unhealthy', cause: long })
    const causes = [containers.get('one')?.cause, containers.blamed('one')]
    containers.blame('one', long)
    causes.push(containers.blamed('one'))
    containers.hold('one', long)
    causes.push(containers.get('one')?.cause)
    expect(causes.map(cause => cause?.detail.length)).toEqual([1024, 1024, 1024, 1024])
  })
})

describe('takeBatch', () => {
  const entry = (chars: number) => ({
    lease: { id: 'a', attempt: 1 },
    line: 'x'.repeat(chars),
    uploads: [],
    batch: null,
  })

  test('behavior: as much as fits into a report of half a MiB, but one at least', () => {
    const kib = 1024
    const entries = [700, 200, 300, 100, 500].map(size => entry(size * kib))
    const taken = () => takeBatch(entries).map(({ line }) => line.length / kib)
    expect([taken(), taken(), taken(), taken(), taken()]).toEqual([[700], [200, 300], [100], [500], []])
  })

  test('behavior: 64 small ones at most', () => {
    const entries = Array.from({ length: 100 }, () => entry(10))
    expect([takeBatch(entries).length, takeBatch(entries).length]).toEqual([64, 36])
  })
})

describe('backoff', () => {
  test('default: doubles up to its cap, between a tenth and the whole', () => {
    const longest = createBackoff({ baseMs: 100, capMs: 1000, random: () => 1 })
    expect(Array.from({ length: 6 }, () => longest.next())).toEqual([100, 200, 400, 800, 1000, 1000])
    longest.reset()
    expect(longest.next()).toBe(100)
    expect(createBackoff({ baseMs: 100, random: () => 0 }).next()).toBe(10)
  })

  test('behavior: where nobody answers it is asked more often than where somebody refuses', () => {
    const pace = (status: number | null) => {
      const backoff = createBackoff({ random: () => 1 })
      const error = new EdgeError('', { status, retry: 'soon' })
      return Array.from({ length: 9 }, () => paceOf(error, backoff)).at(-1)
    }
    expect([pace(503), pace(null)]).toEqual([30_000, 1_500])
  })
})

describe('control', () => {
  test('behavior: an edge that refuses is asked again at least each two seconds, as a cancellation is due in two', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const waits: number[] = []
    const say = () => {}
    await controlLoop({
      edge: {
        send: () => Promise.reject(new EdgeError('', { status: 503, retry: 'soon' })),
        pour: () => Promise.reject(new Error('not needed')),
        heard: () => null,
        roundTripMs: () => 0,
        close: async () => {},
      },
      back: {
        post: () => {},
        async wait(_, ms = Number.POSITIVE_INFINITY) {
          if (waits.push(ms) === 100) controller.abort()
        },
      },
      instance: 'instance',
      leases: createLeases(),
      waitMs: () => 0,
      mode: () => 'run',
      onMode: say,
      onCancel: say,
      onQuestion: () => false,
      log: { debug: say, info: say, warn: say, error: say },
      signal,
    })
    expect(waits.length).toBe(100)
    expect(Math.max(...waits)).toBeLessThanOrEqual(2_000)
  })
})

describe('explainRefusal', () => {
  const now = Date.parse('2026-01-01T00:02:00Z')
  const at = (date: string | undefined) => explainRefusal({ date, now, id: 'abc' })

  test('default: the key is not known there', () => {
    expect(at('Thu, 01 Jan 2026 00:01:50 GMT')).toMatch(
      /^the key of runner abc is not enrolled there, or was revoked; enrol it with `infernet-runner enrol`/,
    )
    expect(at(undefined)).toMatch(/not enrolled/)
  })

  test('behavior: a clock that is further off than the edge forgives is said to be', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const { x = '' } = publicKey.export({ format: 'jwk' })
    const verify = createTokenVerifier({ audience: 'edge', now: () => now, key: async () => x })
    const from = async (aheadMs: number) => {
      const ours = now + aheadMs
      const token = await createSigner({ id: 'abc', privateKey, audience: 'edge', now: () => ours }).token()
      const date = new Date(now).toUTCString()
      return (await verify(token)) ?? explainRefusal({ date, now: ours, id: 'abc' })
    }
    expect(await from(10_000)).toBe('abc')
    expect(await from(11_000)).toMatch(/^this host's clock is 11 s ahead/)
  })

  test('behavior: says which way it is off', () => {
    expect(at('Thu, 01 Jan 2026 00:00:00 GMT')).toBe(
      "this host's clock is 120 s ahead of the edge's; set it right",
    )
    expect(at('Thu, 01 Jan 2026 00:03:00 GMT')).toBe(
      "this host's clock is 60 s behind the edge's; set it right",
    )
  })
})

describe('pulse', () => {
  const lease = { id: 'a', attempt: 1 }

  function start() {
    let now = 0
    const pulse = createPulse({ state: { leases: [] }, heartbeatMs: 10_000, now: () => now })
    const beat = (lost: { id: string; attempt: number }[] = []) => pulse.beaten(pulse.leases(), { lost })
    const at = (ms: number) => {
      now = ms
    }
    return { pulse, beat, at }
  }

  test('default: beats at the pace', () => {
    const { pulse, beat, at } = start()
    expect(pulse.due()).toBe(true)
    beat()
    at(9_999)
    expect(pulse.due()).toBe(false)
    at(10_000)
    expect(pulse.due()).toBe(true)
  })

  test('behavior: a started job is told within a second, once; one that ends before costs nothing', () => {
    const { pulse, beat, at } = start()
    beat()
    at(2_000)
    pulse.held([{ ...lease, started: true }])
    expect(pulse.due()).toBe(false)
    at(2_700)
    expect(pulse.due()).toBe(true)
    beat()
    at(5_000)
    expect(pulse.due()).toBe(false)
    pulse.held([{ id: 'b', attempt: 1, started: true }])
    pulse.dropped([{ id: 'b', attempt: 1 }])
    at(6_000)
    expect(pulse.due()).toBe(false)
  })

  test('behavior: one that waits for its turn is told when it has started', () => {
    const { pulse, beat, at } = start()
    pulse.held([{ ...lease, started: false }])
    beat()
    at(3_000)
    expect(pulse.due()).toBe(false)
    pulse.started(lease)
    expect(pulse.due()).toBe(true)
    expect(pulse.leases()).toEqual([{ ...lease, started: true }])
  })

  test('behavior: lost leases are handed on and beaten no more', () => {
    const { pulse, beat } = start()
    pulse.held([{ ...lease, started: true }])
    expect(beat([lease, { id: 'other', attempt: 3 }])).toEqual([lease])
    expect(pulse.leases()).toEqual([])
  })

  test('behavior: a main thread that is silent for ten minutes holds no leases until it shows itself', () => {
    const { pulse, at } = start()
    const held = { ...lease, started: true }
    pulse.held([held])
    at(300_000)
    pulse.alive()
    at(899_999)
    expect(pulse.leases()).toEqual([held])
    at(900_000)
    expect(pulse.leases()).toEqual([])
    pulse.alive()
    expect(pulse.leases()).toEqual([held])
  })
})

describe('validator', () => {
  test.each([
    ['{"a":[1,2]}', true],
    [' [1] \n', true],
    ['"x"', true],
    ['', false],
    ['1, "b": 2', false],
    ['1}, {"c":2', false],
    ['1}', false],
    ['{"a":1', false],
    ['nul', false],
  ])('behavior: %s is one value: %s', (text, whole) => {
    const validator = createValidator()
    const pushed = [...Buffer.from(text)].every(byte => validator.push(Buffer.from([byte])))
    expect(pushed && validator.end()).toBe(whole)
  })
})

describe('splitWords', () => {
  test.each([
    ['serve --port 3000', ['serve', '--port', '3000']],
    [`sh -c 'echo "a b"' "c \\"d\\" $e" f\\ g ''`, ['sh', '-c', 'echo "a b"', 'c "d" $e', 'f g', '']],
    ['  ', []],
    ['a"b"c', ['abc']],
  ])('behavior: %s', (command, words) => {
    expect(splitWords(command)).toEqual(words)
  })
})

describe('splitReference', () => {
  test.each([
    ['org/one', 'org/one', 'latest'],
    ['org/one:2.0', 'org/one', '2.0'],
    ['localhost:5000/one', 'localhost:5000/one', 'latest'],
    ['localhost:5000/one:x', 'localhost:5000/one', 'x'],
    ['one@sha256:ab', 'one', 'sha256:ab'],
  ])('behavior: %s', (image, name, tag) => {
    expect(splitReference(image)).toEqual({ name, tag })
  })
})

describe('isMadeAlike', () => {
  /** A container in front of the one that it may link to. */
  function containerOf(more: object) {
    const containers = [
      { id: 'one', image: 'i', port: 3100, ...more },
      { id: 'two', image: 'i', port: 3101 },
      { id: 'three', image: 'i', port: 3103 },
    ]
    const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, containers })
    return parseConfig(source, { path: '/config.json', env: {} }).config.containers[0]!
  }
  const one = containerOf({})

  test.each([
    { image: 'other' },
    { env: { A: 'b' } },
    { command: '--serve' },
    { gpu: true },
    { volumes: ['/data:/data'] },
    { port: 3102 },
    { inner_port: 5000 },
    { limits: { memory: '1g' } },
    { limits: { memory: 'unlimited' } },
    { limits: { cpus: 1 } },
    { limits: { pids: 99 } },
    { limits: { shm: '2g' } },
    { limits: { tmpfs: '1g' } },
    { capabilities: ['CHOWN'] },
    { read_only: true },
    { links: ['two'] },
    { egress: 'none' },
  ])('behavior: %j is made anew', more => {
    expect(isMadeAlike(one, containerOf(more))).toBe(false)
    expect(isMadeAlike(containerOf(more), containerOf(more))).toBe(true)
  })

  test.each([
    { slots: 3 },
    { timeout: 5 },
    { pull: 'always' },
    { egress: 'open' },
    { limits: { disk: '1g' } },
  ])('behavior: %j is not', more => {
    expect(isMadeAlike(one, containerOf(more))).toBe(true)
  })

  test.each([
    [{ env: { A: '1', B: '2' } }, { env: { B: '2', A: '1' } }],
    [{ capabilities: ['CHOWN', 'SETUID'] }, { capabilities: ['SETUID', 'CHOWN'] }],
    [{ links: ['two', 'three'] }, { links: ['three', 'two', 'three'] }],
  ])('behavior: %j is %j', (more, other) => {
    expect(isMadeAlike(containerOf(more), containerOf(other))).toBe(true)
  })

  test.each([{}, { port: 3100 }])('behavior: with %j who comes and goes before it changes nothing', more => {
    const lastOf = (...ids: string[]) => {
      const containers = ids.map(id => ({ id, image: 'i', ...more }))
      const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, containers })
      return parseConfig(source, { path: '/config.json', env: {} }).config.containers.at(-1)!
    }
    const last = lastOf('a', 'b', 'c')
    for (const other of [lastOf('a', 'c'), lastOf('c'), lastOf('d', 'b', 'a', 'c')]) {
      expect(other.port).not.toBe(last.port)
      expect(isMadeAlike(last, other)).toBe(true)
    }
  })
})

test('registryOf: Docker’s own by each of its names', () => {
  const images = [
    'one',
    'org/one:1',
    'docker.io/org/one',
    'index.docker.io/org/one',
    'ghcr.io/org/one',
    'localhost/one',
  ]
  expect(images.map(registryOf)).toEqual([dockerHub, dockerHub, dockerHub, dockerHub, 'ghcr.io', 'localhost'])
})

test('usualMemory: none where /info is not let through; what fails once is an error', async () => {
  let status = 403
  const server = createServer((request, response) => {
    response.statusCode = request.url?.endsWith('/info') ? status : 200
    response.end('{"Version":"28.3.1","ApiVersion":"1.41","message":"no"}')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const engine = createEngine(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`, null)
  onTestFinished(async () => {
    await engine.close()
    server.close()
  })
  expect(await usualMemory(engine)).toBeNull()
  status = 500
  await expect(usualMemory(engine)).rejects.toThrow('no')
})

test('lessReserve: what a container may take leaves some of its host, in steps', () => {
  const gib = 2 ** 30
  const kept = [0.5, 1, 2, 8, 64, 1024].map(total => lessReserve(total * gib))
  expect(kept).toEqual([null, 0.5 * gib, 1.5 * gib, 7.5 * gib, 62 * gib, 1022 * gib])
  expect(lessReserve(64 * gib - 1)).toBe(61.75 * gib)
  expect(lessReserve(64 * gib + 5e6)).toBe(62 * gib)
  expect(lessReserve(0)).toBeNull()
})

describe('log', () => {
  const now = () => new Date('2026-01-01T10:00:00.500Z')

  test('default: JSON lines for machines, padded text for people, bounded', () => {
    const lines: string[] = []
    const write = (line: string) => void lines.push(line)
    createLog({ write, now, format: 'json' }).warn('Container error', { job: 'j', long: 'x'.repeat(5000) })
    createLog({ write, now, format: 'human' }).info('Sent', { a: 'b c', n: 1, none: undefined })
    createLog({ write, now, format: 'human' }).debug('not shown')
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      timestamp: '2026-01-01T10:00:00.500Z',
      level: 'warn',
      event: 'Container error',
      job: 'j',
      long: `${'x'.repeat(1024)}...`,
    })
    expect(lines[1]).toBe(`2026-01-01 10:00:00 [info ] ${'Sent'.padEnd(50)} a="b c" n=1`)
    expect(lines.length).toBe(2)
  })
})

describe('trouble', () => {
  test('default: told once, when it changes, once a minute, and when it is over', () => {
    let now = 0
    const events: string[] = []
    const say = (event: string) => void events.push(event)
    const trouble = createTrouble({
      log: { debug: say, info: say, warn: say, error: say },
      what: 'X',
      now: () => now,
    })
    trouble.failed('a')
    trouble.failed('a')
    trouble.failed('b')
    now = 60_000
    trouble.failed('b')
    trouble.over()
    trouble.over()
    expect(events).toEqual([...Array(3).fill('X failed, trying again'), 'X works again'])
  })
})

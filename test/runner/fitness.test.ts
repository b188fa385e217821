import { setImmediate } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import type { ControlRequest, HeartbeatRequest } from '../../src/protocol/runner.ts'
import { createContainers } from '../../src/runner/containers.ts'
import { checkRoom } from '../../src/runner/fitness/disk.ts'
import { checkEngine } from '../../src/runner/fitness/docker.ts'
import { checkClock, checkEdge } from '../../src/runner/fitness/edge.ts'
import { createFitness } from '../../src/runner/fitness/fitness.ts'
import { checkGpus } from '../../src/runner/fitness/gpus.ts'
import type { Devices } from '../../src/runner/gpu/devices.ts'
import { parseGpus } from '../../src/runner/gpu/parse.ts'
import { startFakeEngine } from './fake-engine.ts'
import { gpuLine, uuidOf } from './gpu/fake-smi.ts'
import { eventually, setup } from './setup.ts'

describe('checks', () => {
  const codes = (found: { code: string; containers: readonly string[] | null }[]) =>
    found.map(({ code, containers }) => [code, containers])

  test('disk: what is full keeps from working who fills it', () => {
    const spool = { what: 'the spool', path: '/spool', users: null }
    const least = { leastBytes: 256 * 1024 ** 2 }
    expect(checkRoom(spool, { freeBytes: 256 * 1024 ** 2, ...least })).toEqual([])
    expect(checkRoom(spool, { freeBytes: null, ...least })).toEqual([])
    expect(checkRoom(spool, { freeBytes: 0, leastBytes: 0 })).toEqual([])
    expect(checkRoom(spool, { freeBytes: 1, ...least })).toEqual([
      { code: 'disk_low', detail: 'Less than 256 MiB are free for the spool, at /spool', containers: null },
    ])
    const docker = { what: 'Docker', path: '/var/lib/docker', users: ['a'] }
    expect(codes(checkRoom(docker, { freeBytes: 1, ...least }))).toEqual([['disk_low', ['a']]])
    expect(checkRoom({ ...docker, users: [] }, { freeBytes: 1, ...least })).toEqual([])
  })

  test('docker: its containers that do not answer either', () => {
    const error = new Error('connect ECONNREFUSED')
    expect(checkEngine({ error: null, silent: ['a'] })).toEqual([])
    expect(codes(checkEngine({ error, silent: [] }))).toEqual([['docker_unreachable', []]])
    expect(checkEngine({ error, silent: ['a'] })).toEqual([
      {
        code: 'docker_unreachable',
        detail: "Docker's engine does not answer: connect ECONNREFUSED",
        containers: ['a'],
      },
    ])
  })

  test('clock: nothing, beyond what tokens are forgiven', () => {
    const at = 0
    expect(checkClock(null)).toEqual([])
    expect(checkClock({ at, aheadMs: null })).toEqual([])
    for (const aheadMs of [-10_000, 0, 10_000]) expect(checkClock({ at, aheadMs })).toEqual([])
    expect(checkClock({ at, aheadMs: 10_001 })).toMatchObject([
      { code: 'clock_off', detail: expect.stringContaining('ahead of'), containers: null },
    ])
    expect(checkClock({ at, aheadMs: -10_001 })).toMatchObject([
      { detail: expect.stringContaining('behind') },
    ])
  })

  test('edge: told, and nothing held for it', () => {
    const heard = { at: 1_000, aheadMs: 0 }
    expect(checkEdge({ heard, now: 60_999, startedAt: 0 })).toEqual([])
    expect(codes(checkEdge({ heard, now: 61_000, startedAt: 0 }))).toEqual([['edge_unreachable', []]])
    expect(checkEdge({ heard: null, now: 59_999, startedAt: 0 })).toEqual([])
    expect(checkEdge({ heard: null, now: 60_000, startedAt: 0 })).toHaveLength(1)
  })

  test('gpu: whose GPU it is', () => {
    const gpus = parseGpus([gpuLine(0), gpuLine(1, { rest: '[GPU requires reset], 0, 0, 0' })].join('\n'))
    const known = new Map([0, 1, 2].map(index => [uuidOf(index), null]))
    const given = new Map<string, Devices>([
      ['none', 'none'],
      ['all', 'all'],
      ['zero', { ids: [uuidOf(0)] }],
      ['one', { ids: [uuidOf(1)] }],
      ['instance', { ids: ['MIG-1'] }],
    ])
    const seen = { sight: { kind: 'seen' as const, gpus }, given, known }
    expect(codes(checkGpus(seen))).toEqual([
      ['gpu_lost', ['all', 'one']],
      ['gpu_lost', ['all']],
    ])
    const users = ['all', 'zero', 'one', 'instance']
    expect(codes(checkGpus({ ...seen, sight: { kind: 'failed', error: 'x' } }))).toEqual([
      ['gpu_lost', users],
    ])
    expect(codes(checkGpus({ ...seen, sight: { kind: 'absent' } }))).toEqual([['gpu_missing', users]])
    expect(checkGpus({ ...seen, sight: { kind: 'hidden' } })).toEqual([])
    const empty = { kind: 'seen' as const, gpus: [] }
    expect(codes(checkGpus({ sight: empty, given, known: new Map() }))).toEqual([['gpu_missing', users]])
    expect(checkGpus({ ...seen, given: new Map([['none', 'none' as const]]) })).toEqual([])
  })
})

test('createFitness: nothing is claimed before what decides has answered, whoever else hangs', async () => {
  const answer = Promise.withResolvers<[]>()
  const controller = new AbortController()
  onTestFinished(() => controller.abort())
  const { isFit, loops } = createFitness({
    checks: { decisive: [() => answer.promise, async () => []], others: [() => new Promise(() => {})] },
    containers: createContainers([]),
    onLooked: () => {},
    onMended: () => {},
    log: { debug() {}, info() {}, warn() {}, error() {} },
    signal: controller.signal,
  })
  for (const loop of loops) void loop()
  await setImmediate()
  expect(isFit()).toBe(false)
  answer.resolve([])
  await eventually(isFit)
})

describe('a host that is unfit', () => {
  const fitnessPace = { fitMs: 50, unfitMs: 50 }
  const pace = { lease_ms: 60_000, heartbeat_ms: 100, wait_ms: 500 }

  async function start() {
    const world = await setup({ pace })
    const { edge } = world
    const beats = () =>
      edge.seen.filter(({ path }) => path === '/runner/heartbeat').map(({ body }) => body as HeartbeatRequest)
    const findings = () => beats().findLast(({ host }) => host !== undefined)?.host?.findings
    const told = (id: string) =>
      beats()
        .at(-1)
        ?.containers.find(container => container.id === id)
    return { ...world, beats, findings, told }
  }

  test('behavior: where the disk is low, nothing is claimed, and the edge is told why', async () => {
    const { edge, embed, container, findings, logged } = await start()
    const served = await container((_, response) => response.end('{}'))
    await embed({ min_free_disk: 2 ** 50, containers: [{ id: 'one', url: served.url }] }, { fitnessPace })
    await eventually(() => findings()?.length)
    expect(findings()).toEqual([
      { code: 'disk_low', detail: expect.stringContaining('free for the spool, at /'), containers: null },
    ])
    const job = edge.enqueue({ containers: ['one'], data: '1' })
    const controls = edge.seen.filter(({ path }) => path === '/runner/control').length
    await eventually(() => edge.seen.filter(({ path }) => path === '/runner/control').length > controls + 2)
    expect(job.state).toBe('queued')
    expect(logged.filter(({ event }) => event.startsWith('This host is unfit'))).toHaveLength(1)
  })

  test('behavior: where the disk is low from the start, nothing is claimed while an engine that hangs is waited for', async () => {
    const engine = await startFakeEngine()
    const { edge, embed, container, findings } = await start()
    const served = await container((_, response) => response.end('{}'))
    engine.state.hangs = ({ path }) => path.includes('_ping')
    const job = edge.enqueue({ containers: ['there'], data: '1' })
    const containers = [
      { id: 'here', image: 'i', port: await freePort() },
      { id: 'there', url: served.url },
    ]
    await embed(
      { manage_containers: true, min_free_disk: 2 ** 50, containers },
      { dockerHost: engine.dockerHost, fitnessPace },
    )
    await eventually(() => findings()?.length)
    expect(findings()?.map(({ code }) => code)).toContain('disk_low')
    const controls = edge.seen.filter(({ path }) => path === '/runner/control').length
    await eventually(() => edge.seen.filter(({ path }) => path === '/runner/control').length > controls)
    expect(job.state).toBe('queued')
    engine.state.hangs = () => false
  })

  test('behavior: a clock that is off claims nothing until it is right', async () => {
    const { edge, embed, container, findings, logged } = await start()
    const served = await container((_, response) => {
      response.setHeader('content-type', 'application/json')
      response.end('{}')
    })
    edge.state.behindMs = 15_000
    await embed({ containers: [{ id: 'one', url: served.url }] }, { fitnessPace })
    await eventually(() => findings()?.some(({ code }) => code === 'clock_off'))
    const job = edge.enqueue({ containers: ['one'], data: '1' })
    const controls = () => edge.seen.filter(({ path }) => path === '/runner/control').length
    const before = controls()
    await eventually(() => controls() > before + 1)
    expect(job.state).toBe('queued')
    edge.state.behindMs = 0
    await edge.reported(job.id)
    expect(logged).toContainEqual(expect.objectContaining({ event: 'This host is fit again' }))
  })

  test('behavior: where Docker hangs, its containers are called as long as they answer; the others in any case', async () => {
    const engine = await startFakeEngine()
    const { edge, embed, container, told, findings, logged } = await start()
    const served = await container((_, response) => {
      response.setHeader('content-type', 'application/json')
      response.end('{}')
    })
    const containers = [
      { id: 'here', image: 'i', port: await freePort() },
      { id: 'there', url: served.url },
    ]
    const runner = await embed(
      { manage_containers: true, containers },
      { dockerHost: engine.dockerHost, fitnessPace },
    )
    await runner.ready
    engine.state.refuses = ({ path }) => (path.includes('_ping') ? 'the engine is ill' : null)
    await eventually(() => findings()?.length)
    expect(findings()).toEqual([
      {
        code: 'docker_unreachable',
        detail: "Docker's engine does not answer: the engine is ill",
        containers: [],
      },
    ])
    await edge.reported(edge.enqueue({ containers: ['here'], data: '1' }).id)
    expect(told('here')).toMatchObject({ health: 'ready' })
    engine.state.isMute = true
    await eventually(() => told('here')?.code === 'docker_unreachable')
    expect(told('here')?.detail).toBe("Docker's engine does not answer: the engine is ill")
    const kept = edge.enqueue({ containers: ['here'], data: '1' })
    await edge.reported(edge.enqueue({ containers: ['there'], data: '1' }).id)
    expect(kept.state).toBe('queued')
    engine.state.isMute = false
    await edge.reported(kept.id)
    // Who is held for it changes from look to look, and it is the same all the while.
    const of = { code: 'docker_unreachable', detail: "Docker's engine does not answer: the engine is ill" }
    const ill = {
      level: 'warn',
      event: 'Something is wrong with this host, claiming jobs for all that still works',
      fields: of,
    }
    const ofHost = () => logged.filter(({ event }) => event.includes('his host'))
    expect(ofHost()).toEqual([ill])
    engine.state.refuses = () => null
    await eventually(() => findings()?.length === 0)
    expect(ofHost()).toEqual([ill, { level: 'info', event: 'This host is fit again', fields: of }])
    expect(engine.asked('/stop')).toEqual([])
  })

  test('behavior: one that is paused says so, claims nothing, and goes on when told to', async () => {
    const { edge, embed, container, beats } = await start()
    const served = await container((_, response) => {
      response.setHeader('content-type', 'application/json')
      response.end('{}')
    })
    const mode = () => beats().findLast(({ host }) => host !== undefined)?.host?.mode
    const runner = await embed({ containers: [{ id: 'one', url: served.url }] }, { fitnessPace })
    await runner.ready
    await eventually(() => mode() === 'run')
    edge.state.mode = 'pause'
    edge.changed()
    await eventually(() => mode() === 'pause')
    const job = edge.enqueue({ containers: ['one'], data: '1' })
    const controls = () =>
      edge.seen.filter(
        ({ path, body }) => path === '/runner/control' && (body as ControlRequest).mode === 'pause',
      )
    const before = controls().length
    await eventually(() => controls().length > before + 1)
    expect(job.state).toBe('queued')
    edge.state.mode = 'run'
    edge.changed()
    await edge.reported(job.id)
    await eventually(() => mode() === 'run')
  })
})

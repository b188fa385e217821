import { describe, expect, test } from 'vitest'
import { freePort } from '../../../src/local/port.ts'
import type { HostReport } from '../../../src/protocol/host.ts'
import type { HeartbeatRequest } from '../../../src/protocol/runner.ts'
import { renderStatus } from '../../../src/runner/status/render.ts'
import type { RunnerStatus } from '../../../src/runner/status/status.ts'
import { startFakeEngine } from '../fake-engine.ts'
import { eventually, setup } from '../setup.ts'
import { gpuLine, startFakeSmi, uuidOf } from './fake-smi.ts'

const fitnessPace = { fitMs: 50, unfitMs: 50 }

async function start(lines: string[], gpu: Record<string, unknown>, env = {}) {
  const smi = await startFakeSmi(lines)
  const engine = await startFakeEngine()
  const { edge, embed, logged } = await setup({ pace: { lease_ms: 60_000, heartbeat_ms: 100, wait_ms: 500 } })
  const containers = await Promise.all(
    Object.entries(gpu).map(async ([id, wish]) => ({ id, image: 'i', gpu: wish, port: await freePort() })),
  )
  const runner = await embed(
    { manage_containers: true, containers },
    { dockerHost: engine.dockerHost, fitnessPace, env },
  )
  const beats = () =>
    edge.seen.filter(({ path }) => path === '/runner/heartbeat').map(({ body }) => body as HeartbeatRequest)
  const told = (id: string) =>
    beats()
      .at(-1)
      ?.containers.find(container => container.id === id)
  const host = () => beats().findLast(({ host }) => host !== undefined)?.host as HostReport
  const nameOf = (id: string) => engine.running().find(name => name.endsWith(`-${id}`))
  return { smi, engine, edge, logged, runner, beats, told, host, nameOf }
}

test('default: a runner that is itself in a container tells of the GPUs that it was given, and counts them', async () => {
  const choices = { a: { count: 1 }, b: { count: 1 } }
  const { host, told } = await start([gpuLine(0)], choices, { RUNTIME: 'docker' })
  await eventually(() => host()?.gpus.length === 1 && told('b')?.code === 'gpu_unavailable')
  expect(told('a')?.code).not.toBe('gpu_unavailable')
  expect(told('b')?.detail).toContain("It wants 1 of this host's GPUs for itself, and 0 are free")
})

describe('a GPU that is lost', () => {
  test('default: what uses it is out of service, nothing else is, and it heals by itself', async () => {
    const { smi, edge, logged, runner, told, host, engine, nameOf } = await start([gpuLine(0), gpuLine(1)], {
      zero: [0],
      one: { count: 1 },
      none: false,
    })
    await runner.ready
    const before = nameOf('zero')
    expect(engine.requestsOf(before ?? '')).toEqual([{ DeviceIDs: [uuidOf(0)], Capabilities: [['gpu']] }])

    await smi.says([gpuLine(1)])
    const detail = `nvidia-smi lists ${uuidOf(0)} no more`
    await eventually(() => told('zero')?.code === 'gpu_lost')
    expect(told('zero')).toEqual({ id: 'zero', health: 'unhealthy', code: 'gpu_lost', detail })
    expect(told('one')?.health).toBe('ready')
    await eventually(() => host().findings.length > 0)
    expect(host()).toMatchObject({
      gpus: [{ uuid: uuidOf(1) }],
      findings: [{ code: 'gpu_lost', detail, containers: ['zero'] }],
    })
    const kept = edge.enqueue({ containers: ['zero'], data: '1' })
    await edge.reported(edge.enqueue({ containers: ['one'], data: '1' }).id)
    await edge.reported(edge.enqueue({ containers: ['none'], data: '1' }).id)
    expect(kept.state).toBe('queued')
    expect(logged).toContainEqual({
      level: 'warn',
      event: 'This host is unfit, claiming no jobs for what it cannot do',
      fields: { code: 'gpu_lost', detail, containers: 'zero' },
    })

    await smi.says([gpuLine(0), gpuLine(1)])
    await edge.reported(kept.id)
    // Handles to a GPU that was away lead nowhere.
    expect(engine.asked('/stop').map(({ path }) => path)).toEqual([
      expect.stringContaining(`/${engine.idOf(nameOf('zero') ?? '')}/stop`),
    ])
    expect(logged).toContainEqual({
      level: 'info',
      event: 'This host is fit again',
      fields: { code: 'gpu_lost', detail },
    })
    await eventually(() => host().findings.length === 0)
  })

  test('behavior: a job that a container had in hand when it is started anew is told why', async () => {
    const { smi, edge, runner, told } = await start([gpuLine(0)], { zero: [0] })
    await runner.ready
    const job = edge.enqueue({ containers: ['zero'], data: '"hang"' })
    await eventually(() => edge.jobs.get(job.id)?.started)
    await smi.says(['No devices were found'])
    await eventually(() => told('zero')?.code === 'gpu_lost')
    await smi.says([gpuLine(0)])
    const { resultText } = await edge.reported(job.id)
    const detail = `nvidia-smi lists ${uuidOf(0)} no more`
    expect(JSON.parse(resultText)).toEqual({
      container: 'zero',
      code: 'gpu_lost',
      error: `Container zero: ${detail}`,
    })
    await eventually(() => told('zero')?.health === 'ready')
  })

  test('behavior: a job is told why, too, when the engine cannot say what became of its container meanwhile', async () => {
    const { smi, engine, edge, runner, told } = await start([gpuLine(0)], { zero: [0] })
    await runner.ready
    const job = edge.enqueue({ containers: ['zero'], data: '"hang"' })
    await eventually(() => edge.jobs.get(job.id)?.started)
    engine.state.refuses = ({ path }) => (/-zero\/json$/.test(path) ? 'database is locked' : null)
    engine.hangUp()
    await eventually(() => told('zero')?.code === 'container_unavailable')
    await smi.says(['No devices were found'])
    await eventually(() => told('zero')?.code === 'gpu_lost')
    await smi.says([gpuLine(0)])
    const { resultText } = await edge.reported(job.id)
    expect(JSON.parse(resultText)).toMatchObject({ code: 'gpu_lost' })
    engine.state.refuses = () => null
    await eventually(() => told('zero')?.health === 'ready')
  })

  test('behavior: one that is being stopped while it starts is not ready before it is started anew', async () => {
    const { smi, engine, runner, beats, told, nameOf } = await start([gpuLine(0)], { zero: [0] })
    await runner.ready
    engine.state.isMute = true
    await engine.end(nameOf('zero') ?? '')
    await eventually(() => engine.asked('/start').length === 2 && told('zero')?.health === 'starting')
    await smi.says(['No devices were found'])
    await eventually(() => told('zero')?.code === 'gpu_lost')
    const from = beats().length
    let until = 0
    engine.state.before = async ({ path }) => {
      if (path.endsWith('/start')) until = beats().length
      if (!path.includes('/stop')) return
      const { answered } = engine.state
      engine.state.isMute = false
      await eventually(() => engine.state.answered > answered)
      const told = beats().length
      await eventually(() => beats().length > told + 2)
    }
    await smi.says([gpuLine(0)])
    await eventually(() => engine.asked('/start').length === 3 && told('zero')?.health === 'ready')
    expect(engine.asked('/stop')).toHaveLength(1)
    const healths = beats()
      .slice(from, until)
      .flatMap(({ containers }) => containers.map(({ health }) => health))
    expect(healths).not.toContain('ready')
    engine.state.before = async () => {}
  })

  test('behavior: whoever watches the runner sees it as well', async () => {
    const { smi, runner } = await start([gpuLine(0), gpuLine(1)], { zero: [0], one: [1] })
    await runner.ready
    await smi.says([gpuLine(1)])
    await eventually(() => runner.status()?.findings.length === 1)
    const status = runner.status() as RunnerStatus
    const detail = `nvidia-smi lists ${uuidOf(0)} no more`
    expect(status).toMatchObject({
      labels: { gpu: ['NVIDIA H100 80GB HBM3'], gpu_memory_gib: [80] },
      gpus: [{ uuid: uuidOf(1), memory_used_mib: 1024, problem: null }],
      disks: [{ what: 'the spool', free_bytes: expect.any(Number) }, { what: 'Docker' }],
      findings: [{ code: 'gpu_lost', detail, containers: ['zero'] }],
      containers: [
        { id: 'zero', health: 'unhealthy', code: 'gpu_lost', detail },
        { id: 'one', health: 'ready', code: null },
      ],
    })
    const drawn = renderStatus(status, { columns: 200 }).split('\n')
    expect(drawn).toContainEqual(
      expect.stringMatching(/^host .* gpu=NVIDIA H100 80GB HBM3 .*gpu_memory_gib=80$/),
    )
    expect(drawn).toContainEqual(expect.stringMatching(/^disk {3}the spool .* free {2}Docker .* free$/))
    expect(drawn).toContain(`unfit  gpu_lost: ${detail} (zero)`)
    expect(drawn).toContainEqual(
      expect.stringMatching(/^1 +NVIDIA H100 80GB HBM3 +1024\/81559 MiB +37 % +41 C/),
    )
    expect(drawn).toContainEqual(expect.stringMatching(/^zero +unhealthy +0\/1 +gpu_lost: nvidia-smi lists/))
    const gpu = `{gpu="${uuidOf(1)}",name="NVIDIA H100 80GB HBM3"}`
    const metrics = (await runner.metrics?.text())?.split('\n')
    for (const [name, value] of [
      ['container_down{container="zero",code="gpu_lost"}', 1],
      ['unfit{code="gpu_lost"}', 1],
      [`gpu_memory_bytes${gpu}`, 81559 * 2 ** 20],
      [`gpu_memory_used_bytes${gpu}`, 2 ** 30],
      [`gpu_utilization_percent${gpu}`, 37],
      [`gpu_temperature_celsius${gpu}`, 41],
      [`gpu_problem${gpu}`, 0],
    ])
      expect(metrics).toContain(`infernet_runner_${name} ${value}`)
    expect(metrics?.filter(line => line.startsWith('infernet_runner_disk_free_bytes{'))).toHaveLength(2)
  })

  test('behavior: a driver that fails takes what has GPUs out of service, and starts nothing anew', async () => {
    const { smi, runner, told, engine } = await start([gpuLine(0)], { zero: true, none: false })
    await runner.ready
    await smi.does(`echo 'Driver/library version mismatch'; exit 18`)
    await eventually(() => told('zero')?.code === 'gpu_lost')
    expect(told('zero')?.detail).toBe('nvidia-smi has ended with 18: Driver/library version mismatch')
    expect(told('none')?.health).toBe('ready')
    await smi.says([gpuLine(0)])
    await eventually(() => told('zero')?.health === 'ready')
    expect(engine.asked('/stop')).toEqual([])
  })

  test('behavior: a GPU that is lost, and whose driver fails before it is back, has broken what uses it', async () => {
    const { smi, runner, told, engine, nameOf } = await start([gpuLine(0), gpuLine(1)], {
      zero: [0],
      one: [1],
    })
    await runner.ready
    await smi.says([gpuLine(1)])
    await eventually(() => told('zero')?.detail === `nvidia-smi lists ${uuidOf(0)} no more`)
    await smi.does(`echo 'Unable to determine the device handle'; exit 15`)
    await eventually(() => told('one')?.code === 'gpu_lost')
    expect(engine.asked('/stop')).toEqual([])
    await smi.says([gpuLine(0), gpuLine(1)])
    await eventually(() => told('zero')?.health === 'ready' && told('one')?.health === 'ready')
    expect(engine.asked('/stop').map(({ path }) => path)).toEqual([
      expect.stringContaining(`/${engine.idOf(nameOf('zero') ?? '')}/stop`),
    ])
  })

  test('behavior: a container whose GPU is not there says so, and runs when it comes', async () => {
    const { smi, told, runner } = await start([gpuLine(0)], { a: { count: 1 }, b: { count: 1 } })
    await eventually(() => told('b')?.code === 'gpu_unavailable')
    expect(told('b')?.detail).toBe("It wants 1 of this host's GPUs for itself, and 0 are free")
    await smi.says([gpuLine(0), gpuLine(1)])
    await runner.ready
    expect(told('a')?.health).toBe('ready')
  })

  test('behavior: GPUs are told when their figures change, and not with each beat', async () => {
    const { smi, runner, beats, host } = await start([gpuLine(0)], { a: true })
    await runner.ready
    await eventually(() => host()?.gpus.length === 1)
    expect(host().gpus[0]).toMatchObject({
      index: 0,
      memory_mib: 81559,
      memory_used_mib: 1024,
      utilization: 37,
    })
    const from = beats().length
    await eventually(() => beats().length > from + 5)
    expect(
      beats()
        .slice(from + 1)
        .every(({ host }) => host === undefined),
    ).toBe(true)
    await smi.says([gpuLine(0, { rest: '81559, 80000, 99, 70' })])
    await eventually(() => host().gpus[0]?.utilization === 99)
  })

  test('behavior: one whose container will not die stays out of service, says why, and is started anew once it has died', async () => {
    const { smi, edge, runner, told, beats, engine, nameOf } = await start([gpuLine(0)], { zero: [0] })
    await runner.ready
    const job = edge.enqueue({ containers: ['zero'], data: '"hang"' })
    await eventually(() => edge.jobs.get(job.id)?.started)
    engine.state.refuses = ({ path }) => (/stop|kill/.test(path) ? 'did not receive an exit event' : null)
    await smi.says(['No devices were found'])
    await eventually(() => told('zero')?.code === 'gpu_lost')
    await smi.says([gpuLine(0)])
    await eventually(() => told('zero')?.code === 'undead')
    expect(told('zero')).toMatchObject({ health: 'unhealthy', detail: expect.stringContaining('runs on') })
    const from = beats().length
    const stops = engine.asked('/stop').length
    await eventually(() => engine.asked('/stop').length > stops)
    const last = beats().length
    await eventually(() => beats().length > last)
    expect(
      new Set(
        beats()
          .slice(from)
          .flatMap(({ containers }) => containers.map(({ code }) => code)),
      ),
    ).toEqual(new Set(['undead']))
    const before = engine.asked('/start').length
    await engine.end(nameOf('zero') ?? '')
    engine.state.refuses = () => null
    // It has died by itself, of what it was to be taken down for.
    expect(JSON.parse((await edge.reported(job.id)).resultText)).toMatchObject({ code: 'gpu_lost' })
    await eventually(() => told('zero')?.health === 'ready')
    expect(engine.asked('/start')).toHaveLength(before + 1)
  })
})

import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import { scopeOf } from '../../src/runner/docker/scope.ts'
import { type Attempt, labImage } from './lab.ts'
import { able, answers, useLab } from './place.ts'
import { eventually, setup } from './setup.ts'

/** What a container reads inside of what its first process may be and use, with either version of cgroups. */
async function kernelSays(tell: (wanted: Attempt) => Promise<unknown>) {
  const read = async (path: string) => String(await tell({ try: 'read', path })).trim()
  const status = await read('/proc/self/status')
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\w+)$`, 'm').exec(status)?.[1]
  const groups = '/sys/fs/cgroup'
  const hasOneTree = (await tell({ try: 'find', path: `${groups}/cgroup.controllers` })) === true
  const memory = await read(`${groups}/${hasOneTree ? 'memory.max' : 'memory/memory.limit_in_bytes'}`)
  const time = hasOneTree
    ? (await read(`${groups}/cpu.max`)).split(' ')
    : [await read(`${groups}/cpu/cpu.cfs_quota_us`), await read(`${groups}/cpu/cpu.cfs_period_us`)]
  return {
    bounding: BigInt(`0x${field('CapBnd')}`),
    effective: BigInt(`0x${field('CapEff')}`),
    noNewPrivileges: field('NoNewPrivs') === '1',
    memory: Number(memory),
    cpus: Number(time[0]) / Number(time[1]),
  }
}

describe.skipIf(!able)('what containers may be and use', () => {
  const { scopes, keep } = useLab()

  test('behavior: capabilities, limits and a read-only root', { timeout: 60_000 }, async () => {
    const { ready, tell, inspected } = await keep(
      [
        { id: 'plain' },
        {
          id: 'bound',
          capabilities: ['cap_sys_nice'],
          read_only: true,
          limits: { memory: '256m', tmpfs: '1m', shm: '32m' },
        },
      ],
      { root: { limits: { cpus: '0.5', memory: '1g' } } },
    )
    await ready()
    expect(inspected('plain').HostConfig).toMatchObject({
      CapDrop: ['ALL'],
      CapAdd: null,
      SecurityOpt: ['no-new-privileges'],
      PidsLimit: 4096,
      RestartPolicy: { Name: 'no' },
      ShmSize: 2 ** 30,
      Memory: 2 ** 30,
      NanoCpus: 5e8,
      ReadonlyRootfs: false,
    })
    expect(inspected('bound').HostConfig).toMatchObject({
      CapDrop: ['ALL'],
      CapAdd: ['SYS_NICE'],
      Memory: 2 ** 28,
      MemorySwap: 2 ** 28,
      ShmSize: 2 ** 25,
      ReadonlyRootfs: true,
    })
    // What the engine was asked for is one thing, what the kernel keeps another.
    const usual = { bounding: 0n, effective: 0n, noNewPrivileges: true, memory: 2 ** 30, cpus: 0.5 }
    expect(await kernelSays(tell('plain'))).toEqual(usual)
    const niceOnly = 1n << 23n
    expect(await kernelSays(tell('bound'))).toEqual({
      ...usual,
      bounding: niceOnly,
      effective: niceOnly,
      memory: 2 ** 28,
    })
    const fill = (bytes: number, path: string) => tell('bound')({ try: 'fill', bytes, path })
    expect(await fill(2 ** 16, '/data/file')).toBe('EROFS')
    expect(await fill(2 ** 16, '/tmp/small')).toBe('written')
    expect(await fill(2 ** 21, '/tmp/large')).toBe('ENOSPC')
    expect(await tell('plain')({ try: 'fill', bytes: 2 ** 16, path: '/data/file' })).toBe('written')
  })

  test('behavior: a container that fills its disk is stopped, its job says so, and it comes back empty', {
    timeout: 90_000,
  }, async () => {
    const { edge, embed, directory, logged } = await setup()
    scopes.add(scopeOf({ spool: { directory: join(directory, '.infernet-runner') } }))
    const one = { id: 'one', image: labImage, port: await freePort(), limits: { disk: '16m' } }
    const runner = await embed({ manage_containers: true, containers: [one] })
    await runner.ready
    const path = '/data/file'
    const data = JSON.stringify({ try: 'fill', bytes: 2 ** 25, path, hang: true })
    const report = await edge.reported(edge.enqueue({ containers: ['one'], data }).id)
    expect(report).toMatchObject({ status: 'failed', error_code: 'disk_limit' })
    expect(JSON.parse(report.resultText)).toMatchObject({
      container: 'one',
      code: 'disk_limit',
      error: expect.stringMatching(/^Container one: it has written \d{8} bytes .* is 16777216$/),
    })
    await eventually(() => logged.some(({ event }) => event === 'Container(s) back up'))
    const again = edge.enqueue({ containers: ['one'], data: JSON.stringify({ try: 'find', path }) })
    expect(JSON.parse((await edge.reported(again.id)).resultText)).toMatchObject({ output: { said: false } })
    await runner.drain()
  })

  test('behavior: what a container writes into volumes without a name counts, and goes with it', {
    timeout: 60_000,
  }, async () => {
    const { ready, seen, tell, inspected, end } = await keep([
      { id: 'one', volumes: ['/data'], limits: { disk: '4m' } },
    ])
    await ready()
    const [{ Name: volume }] = inspected('one').Mounts
    expect(await tell('one')({ try: 'fill', bytes: 2 ** 23, path: '/data/file' })).toBe('written')
    await eventually(() => seen.get('one')?.cause?.code === 'disk_limit')
    expect(seen.get('one')?.detail).toMatch(
      /^it has written \d{7} bytes to its disk, and its limit is 4194304$/,
    )
    await eventually(() => !answers('docker', 'volume', 'inspect', volume))
    await end()
  })
})

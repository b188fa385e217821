import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { HeartbeatRequest } from '../../src/protocol/runner.ts'
import { emptied, eventually, setup } from './setup.ts'

/** Runners that are killed, one after another, with one container and one edge. */
async function start() {
  const { edge, spawn, container, directory } = await setup()
  const responses: ServerResponse[] = []
  const served = await container((_, response) => {
    responses.push(response.writeHead(200, { 'content-type': 'text/event-stream' }))
    response.flushHeaders()
  })
  const spool = join(directory, '.infernet-runner')
  const config = { slots: 4, containers: [{ id: 'one', url: served.url }] }

  return {
    edge,
    served,
    responses,
    streams: join(spool, 'streams'),
    corrupt: join(spool, 'corrupt'),
    batches: join(spool, 'batches'),
    spawn: () => spawn(config),
    enqueue: () => edge.enqueue({ containers: ['one'], data: '1', destination: 2 }),
    /** Runs until a moment, and is killed then. */
    async killedAt(moment: () => Promise<unknown>): Promise<void> {
      const runner = await spawn(config)
      await moment()
      runner.child.kill('SIGKILL')
      await runner.exited
    },
    pathOf: (id: string) => join(spool, 'streams', `${id}.1`),
  }
}

describe('a runner that is killed', () => {
  test('behavior: after the end of the output: the next one uploads what the edge lacks, and reports', async () => {
    const { edge, served, responses, streams, batches, killedAt, spawn, enqueue } = await start()
    const bytes = randomBytes(3_000_000)
    const { id } = enqueue()
    edge.streams.state.fault = ({ ask }) => ({ after: ask ? 0 : 100_000, do: 'hang' })
    await killedAt(async () => {
      await eventually(() => responses.length === 1)
      responses[0]?.end(bytes)
      for (let files: string[] = []; files.length === 0; ) files = await readdir(batches).catch(() => [])
    })
    edge.streams.state.fault = () => undefined
    const before = edge.seen.length
    const beats = () => edge.seen.slice(before).filter(({ path }) => path === '/runner/heartbeat')
    edge.state.fault = path =>
      path === '/runner/report' && beats().length === 0 ? { status: 503 } : undefined
    const second = await spawn()
    expect(await edge.reported(id)).toMatchObject({
      attempt: 1,
      status: 'success',
      answer: 'accepted',
      stream: { bytes: bytes.length, utf8: false },
    })
    expect(edge.streams.bytes(id).equals(bytes)).toBe(true)
    expect(edge.streams.of(id).uploads.slice(1)[0]).toMatchObject({ ask: true })
    expect(served.calls.length).toBe(1)
    expect((beats()[0]!.body as HeartbeatRequest).leases).toEqual([{ id, attempt: 1, started: true }])
    await emptied(streams)
    second.child.kill('SIGTERM')
    expect(await second.exited).toEqual({ code: 0, signal: null })
    expect(await readdir(batches)).toEqual([])
  })

  test('behavior: in the middle of the output: the next one uploads what there is, and says that it failed', async () => {
    const { edge, served, responses, streams, killedAt, spawn, enqueue, pathOf } = await start()
    const { id } = enqueue()
    edge.streams.state.fault = ({ ask }) => ({ after: ask ? 0 : 2, do: 'hang' })
    await killedAt(async () => {
      await eventually(() => responses.length === 1)
      responses[0]?.write('abcdé')
      await edge.until(() => edge.streams.of(id).have === 2)
    })
    expect((await readdir(pathOf(id))).sort()).toEqual(['000000000000000.part', 'about.json'])
    edge.streams.state.fault = () => undefined
    await spawn()
    const report = await edge.reported(id)
    expect(report).toMatchObject({
      attempt: 1,
      status: 'failed',
      error_code: 'runner_stopped',
      answer: 'accepted',
      stream: { bytes: 6, utf8: true },
    })
    expect(JSON.parse(report.resultText)).toEqual({
      container: 'one',
      error: 'The runner stopped before the container was done',
      code: 'runner_stopped',
    })
    expect(edge.streams.bytes(id).toString()).toBe('abcdé')
    expect(served.calls.length).toBe(1)
    await emptied(streams)
  })

  test('behavior: a second signal in the middle of the output: the next one says that it failed', async () => {
    const { edge, responses, spawn, enqueue } = await start()
    const { id } = enqueue()
    const first = await spawn()
    await eventually(() => responses.length === 1)
    responses[0]?.write('abc')
    await edge.until(() => edge.streams.of(id).have === 3)
    first.child.kill('SIGTERM')
    await first.said('Draining')
    responses[0]?.write('def')
    await edge.until(() => edge.streams.of(id).have === 6)
    first.child.kill('SIGTERM')
    expect(await first.exited).toEqual({ code: 0, signal: null })
    expect(edge.reports).toEqual([])
    await spawn()
    expect(await edge.reported(id)).toMatchObject({
      status: 'failed',
      error_code: 'runner_stopped',
      stream: { bytes: 6, utf8: true },
    })
  })

  test('behavior: before there is output: the edge gives the job out again', async () => {
    const { edge, responses, streams, killedAt, spawn, enqueue } = await start()
    const { id } = enqueue()
    await killedAt(() => eventually(() => responses.length === 1))
    expect(await readdir(streams)).toEqual([`${id}.1`])
    await spawn()
    await emptied(streams)
    expect(edge.reports).toEqual([])
    // As when the lease has lapsed.
    const job = edge.jobs.get(id)!
    job.state = 'queued'
    edge.queue.push(job)
    edge.changed()
    await eventually(() => responses.length === 2)
    responses[1]?.end('done')
    expect(await edge.reported(id)).toMatchObject({ attempt: 2, status: 'success', stream: { bytes: 4 } })
  })

  test('behavior: as it begins: what there is of it yet is no damage, and nothing is kept', async () => {
    const { edge, responses, streams, corrupt, killedAt, spawn, enqueue, pathOf } = await start()
    const ids = [enqueue(), enqueue(), enqueue()].map(({ id }) => id)
    await killedAt(() => eventually(() => responses.length === 3))
    // Moments of a few microseconds: the directory alone, the name of the file that says what it is about, half of its text.
    const [bare = '', named = '', half = ''] = ids.map(pathOf)
    await rm(bare, { recursive: true })
    await mkdir(bare)
    await writeFile(join(named, 'about.json'), '')
    await writeFile(join(half, 'about.json'), '{"id":')
    const { output } = await spawn()
    await emptied(streams)
    expect(await readdir(corrupt)).toEqual([])
    expect(output()).not.toContain('damaged')
    expect(edge.reports).toEqual([])
  })

  test('behavior: damaged files are set aside and hold up nothing', async () => {
    const { edge, responses, streams, corrupt, killedAt, spawn, enqueue, pathOf } = await start()
    const ids = [enqueue(), enqueue(), enqueue()].map(({ id }) => id)
    await killedAt(async () => {
      await eventually(() => responses.length === 3)
      for (const response of responses) response.write('abc')
      await edge.until(() => ids.every(id => edge.streams.of(id).have === 3))
    })
    const [noAbout = '', torn = '', whole = ''] = ids.map(pathOf)
    await writeFile(join(noAbout, 'about.json'), '{"id":')
    // The line of an output that is not all there, and a part behind a gap.
    await writeFile(join(torn, 'line.json'), '{"id":"torn')
    await writeFile(join(torn, '000000000000009.part'), 'xyz')
    await truncate(join(torn, '000000000000000.part'), 2)
    await writeFile(join(whole, 'unknown'), '')
    await mkdir(join(streams, 'directory'))
    await writeFile(join(streams, 'file'), '')
    await spawn()
    const reports = await Promise.all(ids.slice(1).map(id => edge.reported(id)))
    expect(reports.map(({ stream }) => stream)).toEqual([
      { bytes: 2, utf8: true },
      { bytes: 3, utf8: true },
    ])
    await emptied(streams)
    expect((await readdir(corrupt)).sort()).toEqual([`${ids[0]}.1`, 'directory', 'file'].sort())
  })

  test('behavior: between the end of the output and its place in a batch: it is a success all the same', async () => {
    const { edge, responses, batches, killedAt, spawn, enqueue } = await start()
    const { id } = enqueue()
    edge.state.fault = path => (path === '/runner/report' ? 'hang' : undefined)
    await killedAt(async () => {
      await eventually(() => responses.length === 1)
      responses[0]?.end('abc')
      for (let files: string[] = []; files.length === 0; ) files = await readdir(batches).catch(() => [])
    })
    for (const name of await readdir(batches)) await rm(join(batches, name))
    edge.state.fault = () => undefined
    await spawn()
    expect(await edge.reported(id)).toMatchObject({ status: 'success', stream: { bytes: 3, utf8: true } })
  })
})

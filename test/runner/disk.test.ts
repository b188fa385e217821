import { mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { DiskError } from '../../src/runner/disk.ts'
import { writeRope } from '../../src/runner/rope.ts'
import { dataOf, json } from './serve.ts'
import { eventually, setup } from './setup.ts'

/** A runner with one slot, and a way to make a directory of its spool fail: a file in its place. */
async function start() {
  const { edge, embed, container, directory, logged } = await setup()
  const served = await container(({ body }, response) =>
    json(response, JSON.stringify('x'.repeat(Number(dataOf(body).toString())))),
  )
  const runner = await embed({ slots: 1, containers: [{ id: 'one', url: served.url }] })
  await runner.ready
  const pathOf = (name: string) => join(directory, '.infernet-runner', name)

  return {
    edge,
    served,
    runner,
    enqueue: (replyBytes: number) => edge.enqueue({ containers: ['one'], data: String(replyBytes) }),
    async breakDown(name: string): Promise<void> {
      await rename(pathOf(name), pathOf(`${name}.away`))
      await writeFile(pathOf(name), '')
    },
    async mend(name: string): Promise<void> {
      await rm(pathOf(name))
      await rename(pathOf(`${name}.away`), pathOf(name))
    },
    told: (event: string) => eventually(() => logged.some(one => one.event === event)),
  }
}

const failed = 'Writing to the spool failed, trying again'
const mib = 1024 * 1024

describe('a disk that fails', () => {
  test('behavior: a reply that cannot be kept fails no job, and nothing more is claimed until it can', async () => {
    const { edge, enqueue, breakDown, mend, told } = await start()
    await breakDown('scratch')
    const large = enqueue(2 * mib)
    await told(failed)
    const next = enqueue(10)
    expect(next.state).toBe('queued')
    expect(edge.reports).toEqual([])
    await mend('scratch')
    expect(await edge.reported(large.id)).toMatchObject({ status: 'success', attempt: 1, answer: 'accepted' })
    expect(await edge.reported(next.id)).toMatchObject({ status: 'success' })
    await told('Writing to the spool works again')
  })

  test('behavior: a result that cannot be stored waits, and is not computed again', async () => {
    const { edge, served, enqueue, breakDown, mend, told } = await start()
    await breakDown('payloads')
    const { id } = enqueue(100_000)
    await told(failed)
    await mend('payloads')
    const report = await edge.reported(id)
    expect(report).toMatchObject({ status: 'success', attempt: 1, answer: 'accepted' })
    expect(report.resultText).toContain('x'.repeat(100_000))
    expect(served.calls.length).toBe(1)
  })

  test('behavior: results that the spool does not take are reported from memory, and claims wait', async () => {
    const { edge, enqueue, breakDown, mend, told } = await start()
    await breakDown('batches')
    const first = enqueue(10)
    expect(await edge.reported(first.id)).toMatchObject({ status: 'success', answer: 'accepted' })
    await told(failed)
    // One that was on its way when the disk failed.
    const claims = () => edge.seen.filter(({ path }) => path === '/runner/claim').length
    const before = claims()
    const beats = () => edge.seen.filter(({ path }) => path === '/runner/heartbeat').length
    const from = beats()
    await eventually(() => beats() > from + 2)
    expect(claims()).toBeLessThanOrEqual(before + 1)
    await mend('batches')
    const second = enqueue(10)
    expect(await edge.reported(second.id)).toMatchObject({ status: 'success', answer: 'accepted' })
  })

  test('behavior: a job that waits for the disk ends with the runner, for others to run', async () => {
    const { edge, runner, enqueue, breakDown, told } = await start()
    await breakDown('payloads')
    enqueue(100_000)
    await told(failed)
    await runner.stop()
    expect(edge.reports).toEqual([])
  })
})

test('behavior: a file that could not be written whole is not left behind', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-rope-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const source = {
    bytes: 20,
    async *open() {
      yield Buffer.from('half of it')
      throw new DiskError('no more')
    },
  }
  const writing = writeRope(join(directory, 'file'), [source], new AbortController().signal)
  await expect(writing).rejects.toThrow('no more')
  expect(await readdir(directory)).toEqual([])
})

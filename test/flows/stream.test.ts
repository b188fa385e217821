import { describe, expect, test } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import type { InfernetError } from '../../src/client/error.ts'
import type { JobStream } from '../../src/client/stream.ts'
import { outputOf } from './container.ts'
import { lapsed } from './jobs.ts'
import { killed } from './part.ts'
import { type System, systemOf } from './system.ts'
import { until } from './until.ts'

// Streams through the whole system, whose programs are killed while the container is half way through its answer.
const options = { concurrent: true, timeout: 120_000 }

/** Longer than every buffer on the way. */
function dataOf(name: string): string {
  return JSON.stringify({ name, text: 'äöü€'.repeat(100_000) })
}

type Reading = { stream: JobStream; text(): string; ended: Promise<string> }

/** Reads a stream as a client does that goes on by itself. */
function read(system: System, name: string): Reading {
  const job = { containers: ['echo'], dataJson: dataOf(name), detach: true }
  const stream = createClient({ url: system.url }).stream(job, { patienceMs: 60_000 })
  let text = ''
  const ended = (async () => {
    for await (const piece of stream) text += piece
    return text
  })()
  ended.catch(() => undefined)
  return { stream, text: () => text, ended }
}

/** Until the first half has come through. */
async function halfWay(system: System, { text }: Reading, name: string): Promise<void> {
  await until('the container is half way', () => system.container.halves(name) === 1)
  await until('the half is there', () => text().length >= outputOf(dataOf(name)).length / 2 - 200_000)
}

async function expectWhole({ ended }: Reading, name: string): Promise<void> {
  const text = await ended
  // Compared by themselves: the whole of both would be printed.
  expect(text.length).toBe(outputOf(dataOf(name)).length)
  expect(text === outputOf(dataOf(name))).toBe(true)
}

describe('a program dies half way through a stream', () => {
  test('the edge is killed: the client has every byte once', options, async ({ onTestFinished }) => {
    const system = await systemOf({ slots: 2, onTestFinished })
    await system.startRunner()
    await system.container.holdHalfWay('s')
    const reading = read(system, 's')
    await halfWay(system, reading, 's')
    await system.edge.kill()
    await system.edge.start()
    await system.container.release('s')
    await expectWhole(reading, 's')
    expect(system.container.calls('s')).toBe(1)
  })

  test('the database is killed', options, async ({ onTestFinished }) => {
    const system = await systemOf({ slots: 2, onTestFinished })
    await system.startRunner()
    await system.container.holdHalfWay('s')
    const reading = read(system, 's')
    await halfWay(system, reading, 's')
    await system.database.kill()
    await system.container.release('s')
    await system.database.start()
    await expectWhole(reading, 's')
    expect(system.container.calls('s')).toBe(1)
  })

  test('the runner’s connections are cut, again and again', options, async ({ onTestFinished }) => {
    const system = await systemOf({ slots: 2, onTestFinished })
    await system.startRunner()
    await system.container.holdHalfWay('s')
    const reading = read(system, 's')
    for (let cuts = 0; cuts < 5; cuts += 1) {
      await until('something is uploaded', () => reading.text().length > cuts * 10_000)
      system.gates.edge.cut()
    }
    await system.container.release('s')
    await expectWhole(reading, 's')
    expect(system.container.calls('s')).toBe(1)
  })

  test(
    'the runner is killed, and comes back: the job has failed, with what came',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 2, onTestFinished })
      const runner = await system.startRunner()
      await system.container.holdHalfWay('s')
      const reading = read(system, 's')
      await halfWay(system, reading, 's')
      await killed(runner)
      await system.startRunner()
      const error = await reading.ended.catch((cause: unknown) => cause as InfernetError)
      expect(error).toMatchObject({ params: { state: 'failed' } })
      const job = await system.job(await reading.stream.id)
      expect(job).toMatchObject({ state: 'failed', attempt: 1, stream: { truncated: false } })
      expect(job.stream?.bytes).toBeGreaterThan(0)
      // The last character may be cut.
      expect(outputOf(dataOf('s')).startsWith(reading.text().replace(/\ufffd+$/, ''))).toBe(true)
      expect(system.container.calls('s')).toBe(1)
    },
  )

  test(
    'the runner is killed, and stays away: the lease ends the stream',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 2, onTestFinished })
      const runner = await system.startRunner()
      await system.container.holdHalfWay('s')
      const reading = read(system, 's')
      await halfWay(system, reading, 's')
      await killed(runner)
      await lapsed(system, [await reading.stream.id])
      await system.edge.runSchedule()
      await expect(reading.ended).rejects.toMatchObject({ code: 'lease_lost', params: { state: 'failed' } })
    },
  )

  test(
    'the runner is killed before the first byte: another one runs it',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 2, onTestFinished })
      const runner = await system.startRunner()
      await system.container.hold('s')
      const reading = read(system, 's')
      await until('the container is called', () => system.container.calls('s') === 1)
      await killed(runner)
      await system.startRunner({ spool: 'other', key: 'other' })
      await until('the container is called again', () => system.container.calls('s') === 2)
      await system.container.release('s')
      await expectWhole(reading, 's')
      expect(await system.job(await reading.stream.id)).toMatchObject({ attempt: 2, state: 'success' })
    },
  )

  test(
    'the runner is killed when its container is done: its successor hands in the rest',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 2, onTestFinished })
      const runner = await system.startRunner()
      await system.container.holdHalfWay('s')
      const reading = read(system, 's')
      await halfWay(system, reading, 's')
      await system.edge.kill()
      await system.container.release('s')
      await until('the result is in the spool', () => runner.spooled().length === 1)
      await killed(runner)
      await system.edge.start()
      await system.startRunner()
      await expectWhole(reading, 's')
      expect(system.container.calls('s')).toBe(1)
    },
  )
})

test('a client that leaves: its container’s call is ended', options, async ({ onTestFinished }) => {
  const system = await systemOf({ slots: 2, onTestFinished })
  await system.startRunner()
  await system.container.holdHalfWay('s')
  const leaving = new AbortController()
  const body = `{"containers":["echo"],"data":${dataOf('s')}}`
  const response = await fetch(`${system.url}/api/jobs/stream`, {
    method: 'POST',
    body,
    signal: leaving.signal,
  })
  const [id] =
    (await response.body
      ?.getReader()
      .read()
      .then(({ value }) =>
        Buffer.from(value ?? [])
          .toString()
          .split('\n'),
      )) ?? []
  await until('the container is half way', () => system.container.halves('s') === 1)
  leaving.abort()
  const left = performance.now()
  await until('its call is ended', () => system.container.dropped('s') === 1)
  expect(performance.now() - left).toBeLessThan(4_000)
  expect(await system.job(id ?? '')).toMatchObject({ state: 'cancelled' })
})

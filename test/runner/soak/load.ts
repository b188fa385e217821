import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '../../../src/client/client.ts'
import { InfernetError } from '../../../src/client/error.ts'
import { jobOf, type Plan, planOf } from './plan.ts'
import { containers } from './stand.ts'

/** A job that the edge has taken. */
export type Made = {
  id: string
  plan: Plan
  /** Of a stream: what its client has read. */
  read: string
}

export type LoadOptions = {
  client: Client
  seed: number
  signal: AbortSignal
  /** Told of each before anything becomes of it. */
  onMade: (made: Made) => void
}

/** For each container: more than its slots, so that jobs wait, of which some are cancelled and some see a blow. */
const clientsEach = 8
/** A container that has died again and again is away for a minute. */
const patienceMs = 150_000

/** Clients that make jobs, one after the other each, until the signal aborts. Resolves when all of their jobs have ended. @throws what the edge did not do. */
export async function putLoad({ client, seed, signal, onMade }: LoadOptions): Promise<void> {
  let number = 0

  async function one(plan: Plan): Promise<void> {
    if (plan.kind === 'stream') return await readStream(plan)
    const { id } = await client.createJob(jobOf(plan), { id: randomUUID() })
    onMade({ id, plan, read: '' })
    if (plan.cancelAfterMs !== null) {
      await sleep(plan.cancelAfterMs)
      await client.cancelJob(id).catch(unlessEnded)
    }
    await client.waitForJob(id, { timeoutMs: patienceMs })
  }

  async function readStream(plan: Plan): Promise<void> {
    const stream = client.stream(jobOf(plan), { signal: AbortSignal.timeout(patienceMs) })
    const made = stream.id.then(id => {
      const entry = { id, plan, read: '' }
      onMade(entry)
      return entry
    })
    made.catch(() => undefined)
    try {
      for await (const text of stream) (await made).read += text
    } catch (error) {
      // How it ended is told by the edge, later. One that was never taken has no id.
      if (!(error instanceof InfernetError)) throw error
      await made
    }
  }

  async function work(first: string): Promise<void> {
    while (!signal.aborted) await one(planOf({ seed, number: ++number, first, all: containers }))
  }

  await Promise.all(containers.flatMap(first => Array.from({ length: clientsEach }, () => work(first))))
}

function unlessEnded(error: unknown): void {
  if (!(error instanceof InfernetError && error.code === 'already_ended')) throw error
}

import { afterAll, beforeAll, expect, test } from 'vitest'
import { type MortalEdge, startMortalEdge } from '../support/mortal-edge.ts'

/** Clients that leave at any moment, in the process of the edge, so that a test can choose it. */

let edge: MortalEdge

beforeAll(async () => {
  edge = await startMortalEdge({ returnMs: 1_000 })
})
afterAll(async () => {
  await edge[Symbol.asyncDispose]()
})

/** A request whose client leaves when it is told to. As on a server, its answer's body is cancelled then. */
function ask(path: string, init: RequestInit = {}) {
  const leaving = new AbortController()
  const request = new Request(`http://edge${path}`, { ...init, signal: leaving.signal })
  const answer = Promise.resolve(edge.app.fetch(request))
  return {
    request,
    answer,
    async leave() {
      leaving.abort()
      await (await answer).body?.cancel()
    },
  }
}

const stateOf = async (id: string) => (await edge.streams.read(id)).state

test('behavior: a client that has left before it could be answered is nobody who reads', async () => {
  const { client, job, upload } = await edge.streams.begin({ first: 'one ' })
  await ask(`/api/jobs/${job.id}/stream`).leave()
  client.leave()
  await expect.poll(() => stateOf(job.id), { timeout: 5_000 }).toBe('cancelled')
  expect((await upload.answer).body.stop).toBe(true)
  await expect.poll(() => edge.mortal.count()).toBe(0)
})

test('behavior: the job of a client that leaves while it is being stored ends before a runner takes it', async () => {
  const stored = edge.proxy.holdAnswer(/insert into .?jobs/i)
  const body = JSON.stringify({ containers: ['echo'], data: {} })
  const { leave } = ask('/api/jobs/stream', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  await stored.reached
  const left = leave()
  stored.release()
  await left
  const states = () => edge.db.orm.all("select state from jobs where state in ('queued', 'running')")
  await expect.poll(states, { timeout: 5_000 }).toEqual([])
  await expect.poll(() => edge.mortal.count()).toBe(0)
})

import { Hono } from 'hono'
import { destination, Job } from '../../protocol/job.ts'
import type { Context as App } from '../context.ts'
import { readJobs } from '../jobs/read.ts'
import { cancelled } from './cancelled.ts'
import { described } from './describe.ts'
import { isId } from './id.ts'
import { jobNotFound } from './job-answer.ts'
import { refuse } from './refuse.ts'
import { isInParts, jobInFull, respond } from './render.ts'
import { senderOf } from './sender.ts'

export function jobCancelRoutes(app: App): Hono {
  const { db } = app
  const routes = new Hono()

  routes.delete(
    '/api/jobs/:id',
    described({
      summary: 'Cancel a job',
      tag: 'Jobs',
      description:
        'It ends at once, whether it waits or runs; its runner is told, and drops the call of its container within 2 s.',
      parameters: [{ name: 'id', in: 'path', description: 'The id that creating it answered.' }],
      answer: { description: 'The job in full, cancelled; also when it was cancelled before.', schema: Job },
      refusals: ['not_found', 'conflict', 'already_ended'],
    }),
    async c => {
      const id = c.req.param('id')
      if (!isId(id)) return refuse(c, jobNotFound)
      const { owner } = senderOf(app, c)
      const ended = await cancelled(app, c, { owner, id })
      const [row] = await readJobs(db, { owner, ids: [id] })
      // What a contract has asked for, anyone may read, and nobody cancel but the contract.
      if (!row || row.destination === destination.onchain) return refuse(c, jobNotFound)
      if (row.origin === 'status') {
        return refuse(c, { code: 'conflict', error: "This job is not the queue's", params: { id } })
      }
      if (!ended && row.state !== 'cancelled') {
        return refuse(c, {
          code: 'already_ended',
          error: 'The job has already ended',
          params: { state: row.state },
        })
      }
      return await respond(c, jobInFull(db, row), { streamed: isInParts(row) })
    },
  )

  return routes
}

import { Hono } from 'hono'
import * as v from 'valibot'
import { JobId } from '../../protocol/job.ts'
import { limits } from '../../protocol/limits.ts'
import { type Payload, ReportAnswer, type ReportedResult, ReportRequest } from '../../protocol/runner.ts'
import { storedBytesOf } from '../config.ts'
import type { Context as App } from '../context.ts'
import { type FinishedJob, finish, type StoredPayload } from '../jobs/finish.ts'
import { storePart } from '../jobs/parts.ts'
import { type RunnerEnv, refuseRunner, unauthorized } from './auth.ts'
import { bodyTooLarge, unbroken } from './body.ts'
import { described } from './describe.ts'
import { isJson } from './json.ts'
import { Attempt, staleLease } from './lease.ts'
import { RefusalError, refuse } from './refuse.ts'
import { tellChains, tellEnded } from './rings.ts'
import { valid } from './validate.ts'

const Place = v.object({ id: JobId, seq: v.pipe(v.string(), v.regex(/^\d{1,4}$/), v.toNumber()) })
const PartQuery = v.object({ attempt: Attempt, kind: v.picklist(['result', 'intermediate']) })

/** How runners hand results in: parts of large ones first, then reports. */
export function reportRoutes(app: App): Hono<RunnerEnv> {
  const { db, policy } = app
  const routes = new Hono<RunnerEnv>()

  routes.put(
    '/runner/jobs/:id/result/:seq',
    described({
      summary: 'Store a part of a result',
      tag: 'Runner',
      parameters: [
        { name: 'id', in: 'path', description: 'Job.' },
        { name: 'seq', in: 'path', description: 'From 0.' },
        { name: 'attempt', in: 'query', description: 'Of the lease.', required: true },
        { name: 'kind', in: 'query', description: '`result` or `intermediate`.', required: true },
      ],
      answer: { description: 'Stored.', schema: v.object({}) },
      refusals: ['unauthorized', 'invalid_request', 'conflict', 'body_too_large'],
      secured: 'runner',
    }),
    valid('param', Place),
    valid('query', PartQuery),
    async c => {
      const place = c.req.valid('param')
      if (place.seq * limits.partBytes >= limits.resultBytes) throw bodyTooLarge(limits.resultBytes)
      const bytes = new Uint8Array(await unbroken(c.req.arrayBuffer()))
      if (bytes.byteLength > limits.partBytes || bytes.byteLength === 0) {
        throw new RefusalError('body_too_large', `A part has 1 byte to ${limits.partBytes / 1024} KiB`, {
          limit: limits.partBytes,
        })
      }
      const stored = await storePart(db, { runner: c.var.runner, ...place, ...c.req.valid('query'), bytes })
      return stored ? c.json({}) : await refuseRunner(c, policy, staleLease)
    },
  )

  routes.post(
    '/runner/report',
    described({
      summary: 'Report results',
      tag: 'Runner',
      answer: { description: 'An answer for each.', schema: ReportAnswer },
      refusals: ['unauthorized', 'malformed_json', 'invalid_request', 'body_too_large'],
      secured: 'runner',
    }),
    valid('json', ReportRequest),
    async c => {
      const { results } = c.req.valid('json')
      const bad = results.findIndex(result => !isSound(result))
      if (bad >= 0) {
        return refuse(c, {
          code: 'invalid_request',
          error: `Invalid json: results.${bad}: not the JSON text of a result`,
          params: { id: results[bad]?.id },
        })
      }
      const finished = finish(db, {
        runner: c.var.runner,
        jobs: results.map(toFinishedJob),
        streamStoredBytes: storedBytesOf(app.config),
      })
      const ring = finished.then(
        async ended =>
          void (await Promise.all([
            tellEnded(app, ended?.watched ?? []),
            tellChains(app, ended?.chains ?? []),
          ])),
        () => undefined,
      )
      app.background(c, ring)
      const stored = await finished
      if (!stored) return unauthorized(c)
      return c.json({
        answers: results.map(({ id, attempt }, index) => ({
          id,
          attempt,
          answer: stored.answers[index] ?? 'stale',
        })),
      } satisfies ReportAnswer)
    },
  )

  return routes
}

function toFinishedJob({
  id,
  attempt,
  status,
  error_code,
  result,
  intermediate,
  stream,
  images,
}: ReportedResult): FinishedJob {
  return {
    id,
    attempt,
    state: status,
    errorCode: error_code ?? (status === 'failed' ? 'container_error' : null),
    errorMessage: status === 'failed' ? errorOf(result) : null,
    result: toStoredPayload(result),
    intermediate: toStoredPayload(intermediate),
    stream,
    images: images != null && Object.keys(images).length > 0 ? images : null,
  }
}

/** What the container is said to have failed with, for the job's own `error`; the result carries it whole. */
function errorOf(result: Payload): string | null {
  if ('parts' in result) return null
  const { error } = JSON.parse(result.text) as { error?: unknown }
  // Escapes, or the cut, may have left what is no text to a database: half a surrogate pair, NUL.
  return typeof error === 'string' ? error.slice(0, maxErrorLength).toWellFormed().replaceAll('\0', '') : null
}

const maxErrorLength = 1024

const encoder = new TextEncoder()

function toStoredPayload(payload: Payload | null): StoredPayload {
  if (payload === null) return { text: null, bytes: 0, parts: 0 }
  if ('parts' in payload) return { text: null, ...payload }
  return { text: payload.text, bytes: byteLength(payload.text), parts: 0 }
}

function byteLength(text: string): number {
  return encoder.encode(text).byteLength
}

/**
 * Inline texts go into answers verbatim, so they must be JSON of the right shape. Parts are not read again here: a runner that
 * lies in them spoils nothing but the answer that it was trusted to compute.
 */
function isSound({ result, intermediate }: ReportedResult): boolean {
  return isPayload(result, isResult) && (intermediate === null || isPayload(intermediate, isResults))
}

function isPayload(payload: Payload, is: (value: unknown) => boolean): boolean {
  if ('parts' in payload) return true
  // Half a surrogate pair is no text in UTF-8: the database could not give it back.
  return (
    byteLength(payload.text) <= limits.inlineBytes && payload.text.isWellFormed() && isJson(payload.text, is)
  )
}

function isResult(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'container' in value
}

function isResults(value: unknown): boolean {
  return Array.isArray(value) && value.every(isResult)
}

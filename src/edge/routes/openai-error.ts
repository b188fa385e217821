import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import * as v from 'valibot'
import type { JobRow } from '../jobs/read.ts'

/** Whether a path is of OpenAI's door. */
export function isOpenAiPath(path: string): boolean {
  return path.startsWith('/v1/')
}

/** Body of every refusal of OpenAI's door. `code`: ours, or `model_not_found`. */
export const OpenAiErrorBody = v.object({
  error: v.object({
    message: v.string(),
    type: v.picklist(['invalid_request_error', 'server_error']),
    param: v.nullable(v.string()),
    code: v.nullable(v.string()),
  }),
})

type OpenAiError = { message: string; code?: string; param?: string }

/** An error as OpenAI's clients read it. */
export function openAiError(c: Context, status: ContentfulStatusCode, error: OpenAiError): Response {
  return c.json({ error: errorOf(status, error) }, status)
}

export function errorOf(status: number, { message, code, param }: OpenAiError) {
  const type = status < 500 ? 'invalid_request_error' : 'server_error'
  return { message, type, param: param ?? null, code: code ?? null }
}

export function modelNotFound(c: Context, model: string): Response {
  const name = model.slice(0, 128)
  const message = `The model '${name}' does not exist: no container of that id declares openai`
  return openAiError(c, 404, { message, code: 'model_not_found', param: 'model' })
}

/** Why a job has no answer: what its container refused is the client's doing, all else ours. */
export function failureError(c: Context, row: JobRow): Response {
  const { status, ...error } = failureOf(row)
  return openAiError(c, status, error)
}

export function failureOf({ state, error_code: code, error_message: message }: JobRow) {
  const refused = code === 'http_error' ? /^(4\d\d), /.exec(message ?? '')?.[1] : undefined
  const status = refused === undefined ? (statusOf[code ?? ''] ?? 502) : Number(refused)
  return {
    status: status as ContentfulStatusCode,
    message: message ?? `The job is ${state}`,
    code: code ?? state,
  }
}

const statusOf: Record<string, number> = { expired: 503, cancelled: 499, timeout: 504, idle: 504 }

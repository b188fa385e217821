import { describeRoute, resolver } from 'hono-openapi'
import type { GenericSchema } from 'valibot'
import { ErrorBody, type ErrorCode, errorStatus } from '../../protocol/error.ts'

export type Parameter = {
  name: string
  in: 'query' | 'path' | 'header'
  description: string
  required?: boolean
  repeated?: boolean
}

export type Description = {
  summary: string
  tag: 'Jobs' | 'Chains' | 'Node' | 'Runner' | 'Admin'
  description?: string
  answer?: { description: string; schema?: GenericSchema; contentType?: string }
  body?: GenericSchema
  parameters?: readonly Parameter[]
  /** Refusals that this route can answer, beside those of any route. */
  refusals?: readonly ErrorCode[]
  secured?: 'runner' | 'admin'
  /** What refusals look like, where they are not as everywhere. */
  refusalBody?: GenericSchema
}

/** Describes a route for `/openapi.json`, from the schemas that validate it. */
export function described({
  summary,
  tag,
  description,
  answer,
  body,
  parameters,
  refusals,
  secured,
  refusalBody = ErrorBody,
}: Description) {
  return describeRoute({
    summary,
    tags: [tag],
    ...(description ? { description } : {}),
    ...(body
      ? { requestBody: { required: true, content: { 'application/json': { schema: resolver(body) } } } }
      : {}),
    ...(parameters
      ? {
          parameters: parameters.map(({ repeated, required = false, ...parameter }) => ({
            ...parameter,
            required: required || parameter.in === 'path',
            schema: repeated
              ? { type: 'array' as const, items: { type: 'string' as const } }
              : { type: 'string' as const },
          })),
        }
      : {}),
    ...(secured ? { security: [{ [secured]: [] }] } : {}),
    responses: {
      200: {
        description: answer?.description ?? 'OK',
        ...(answer?.schema
          ? { content: { [answer.contentType ?? 'application/json']: { schema: resolver(answer.schema) } } }
          : {}),
      },
      ...refusalResponses(
        [...(refusals ?? []), 'internal', 'schema_outdated', 'database_unavailable'],
        refusalBody,
      ),
    },
  })
}

function refusalResponses(codes: readonly ErrorCode[], body: GenericSchema) {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of codes)
    byStatus.set(errorStatus[code], [...(byStatus.get(errorStatus[code]) ?? []), code])
  return Object.fromEntries(
    [...byStatus].map(([status, named]) => [
      status,
      {
        description: named.map(code => `\`${code}\``).join(', '),
        content: { 'application/json': { schema: resolver(body) } },
      },
    ]),
  )
}

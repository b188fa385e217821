import type { TestEdge } from '../../support/edge.ts'

/** As much of JSON Schema as the edge's own document says its routes in. */
export type Schema = {
  type?: string
  const?: unknown
  enum?: unknown[]
  anyOf?: Schema[]
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: Schema | boolean
  items?: Schema
  minItems?: number
  maxItems?: number
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  pattern?: string
  format?: string
}

export type Parameter = {
  name: string
  in: 'path' | 'query' | 'header'
  required?: boolean
  schema?: Schema
}

/** A route, as `/openapi.json` describes it. */
export type Operation = {
  method: string
  path: string
  parameters: Parameter[]
  body: Schema | null
  answer: Schema | null
  secured: 'runner' | 'admin' | null
  /** The codes that it says it refuses with. */
  codes: Set<string>
}

type Described = {
  parameters?: Parameter[]
  requestBody?: { content: Record<string, { schema: Schema }> }
  responses: Record<string, { description: string; content?: Record<string, { schema: Schema }> }>
  security?: Record<string, string[]>[]
}

/** Every route of the edge, in the words of its own document: one that is new is among them by itself. */
export async function readOperations(edge: TestEdge): Promise<Operation[]> {
  const document = (await (await edge.request('/openapi.json')).json()) as {
    paths: Record<string, Record<string, Described>>
  }
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => operationOf(method.toUpperCase(), path, described)),
  )
}

function operationOf(method: string, path: string, described: Described): Operation {
  const { parameters = [], requestBody, responses, security } = described
  const [scheme] = Object.keys(security?.[0] ?? {})
  return {
    method,
    path,
    parameters,
    body: requestBody?.content['application/json']?.schema ?? null,
    answer: responses['200']?.content?.['application/json']?.schema ?? null,
    secured: scheme === 'runner' || scheme === 'admin' ? scheme : null,
    codes: new Set(
      Object.values(responses).flatMap(({ description }) =>
        [...description.matchAll(/`(\w+)`/g)].map(([, code]) => code ?? ''),
      ),
    ),
  }
}

/** Which route a request line leads to, dots and all: of two that fit, the one with fewer parameters. */
export function operationFor(
  operations: readonly Operation[],
  { method, target }: { method: string; target: string },
): Operation | undefined {
  const [path = ''] = target.split(/[?#]/)
  const given = path.split('/')
  return operations
    .filter(operation => operation.method === (method === 'HEAD' ? 'GET' : method))
    .filter(operation => {
      const expected = operation.path.split('/')
      return (
        expected.length === given.length &&
        expected.every((step, index) => (step.startsWith('{') ? given[index] !== '' : step === given[index]))
      )
    })
    .toSorted((a, b) => a.path.split('{').length - b.path.split('{').length)[0]
}

const uuid = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i

/** What a value has that its schema does not allow; null when it is as it should be. */
export function misfit(schema: Schema, value: unknown, at = ''): string | null {
  if (schema.anyOf) {
    const all = schema.anyOf.map(option => misfit(option, value, at))
    return all.includes(null) ? null : all.join(' or ')
  }
  if ('const' in schema && value !== schema.const) return `${at}: not ${String(schema.const)}`
  if (schema.enum && !schema.enum.includes(value)) return `${at}: not in the list`
  switch (schema.type) {
    case 'object':
      return misfitObject(schema, value, at)
    case 'array':
      return misfitArray(schema, value, at)
    case 'string':
      return misfitString(schema, value, at)
    case 'integer':
    case 'number':
      return misfitNumber(schema, value, at)
    case 'boolean':
      return typeof value === 'boolean' ? null : `${at}: not a boolean`
    case 'null':
      return value === null ? null : `${at}: not null`
    default:
      return null
  }
}

function misfitObject(
  { properties = {}, required = [], additionalProperties }: Schema,
  value: unknown,
  at: string,
) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `${at}: not an object`
  const missing = required.find(key => !Object.hasOwn(value, key))
  if (missing !== undefined) return `${at}.${missing}: missing`
  for (const [key, entry] of Object.entries(value)) {
    const schema = Object.hasOwn(properties, key) ? properties[key] : additionalProperties
    const problem = typeof schema === 'object' ? misfit(schema, entry, `${at}.${key}`) : null
    if (problem !== null && !(entry === undefined)) return problem
  }
  return null
}

function misfitArray(
  { items, minItems = 0, maxItems = Number.POSITIVE_INFINITY }: Schema,
  value: unknown,
  at: string,
) {
  if (!Array.isArray(value)) return `${at}: not an array`
  if (value.length < minItems || value.length > maxItems) return `${at}: ${value.length} items`
  for (const [index, item] of value.entries()) {
    const problem = items ? misfit(items, item, `${at}.${index}`) : null
    if (problem !== null) return problem
  }
  return null
}

function misfitString(
  { pattern, format, minLength = 0, maxLength = Number.POSITIVE_INFINITY }: Schema,
  value: unknown,
  at: string,
) {
  if (typeof value !== 'string') return `${at}: not a string`
  if (value.length < minLength || value.length > maxLength) return `${at}: ${value.length} characters`
  if (pattern !== undefined && !new RegExp(pattern).test(value)) return `${at}: not like ${pattern}`
  return format === 'uuid' && !uuid.test(value) ? `${at}: not a UUID` : null
}

function misfitNumber(
  { type, minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY }: Schema,
  value: unknown,
  at: string,
) {
  if (typeof value !== 'number' || (type === 'integer' && !Number.isInteger(value)))
    return `${at}: not a number`
  return value < minimum || value > maximum ? `${at}: out of range` : null
}

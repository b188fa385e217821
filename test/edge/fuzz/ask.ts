import * as v from 'valibot'
import { expect } from 'vitest'
import { OpenAiErrorBody } from '../../../src/edge/routes/openai-error.ts'
import { ErrorBody, errorStatus } from '../../../src/protocol/error.ts'
import { adminToken } from '../../support/edge.ts'
import { misfit, type Operation, operationFor, type Schema } from './document.ts'
import { exchange, piecesOf, type WireRequest, type WireResponse } from './wire.ts'
import type { World } from './world.ts'

export type Asked = { response: WireResponse; body: unknown; statements: number }

export type Expectation = {
  /** Statements that one request may cost. */
  maxStatements?: number
  /** Whether its token, if the route wants one, is good. */
  authorized?: boolean
}

/** A refusal tells what is wrong: it has no use for more. */
const refusalBytes = 4 * 1024
const answerMs = 15_000

/** Sends a request, and holds the answer, and what is stored afterwards, to what is true whatever was asked. */
export async function ask(
  world: World,
  request: WireRequest,
  { maxStatements = 40, authorized = false }: Expectation = {},
): Promise<Asked> {
  const before = await world.stored()
  world.proxy.takeStatements()
  const response = await answerOf(world, request)
  const statements = world.proxy.takeStatements().length
  expect(statements, 'statements').toBeLessThanOrEqual(maxStatements)
  const operation = operationFor(world.operations, request)
  const body = bodyOf(response, request)
  const after = await world.stored()
  expect(rowsOf(after.theirs)).toEqual(rowsOf(before.theirs))
  expect(await world.miscounts()).toEqual([])
  expect(response.text).not.toMatch(insides)
  expect(response.text).not.toContain(adminToken)
  expect(response.text).not.toContain(world.victims.secret)
  // `/ready` answers in its own shape that it is not.
  if (response.status >= 400 && operation?.path !== '/ready') {
    expect(rowsOf(after.all)).toEqual(rowsOf(before.all))
    if (request.method !== 'HEAD') expectRefusal(operation, response, plainRefusal(request.target, body))
  } else if (operation && request.method !== 'HEAD') {
    expect(operation.secured === null || authorized, 'answered without a good token').toBe(true)
    expectEarned(operation, request, body)
  }
  if (after.all !== before.all) await world.tidy()
  return { response, body, statements }
}

/** What no answer tells: how it came about. */
const insides = /sqlite|libsql|hrana|drizzle|select |insert |update |\n\s+at |node_modules/i

/** Rows, so that a difference can be read. */
function rowsOf(snapshot: string): unknown {
  return JSON.parse(snapshot)
}

async function answerOf({ edge }: World, request: WireRequest): Promise<WireResponse> {
  let timer: ReturnType<typeof setTimeout> | undefined
  let isLate = false
  const late = new Promise<null>(resolve => {
    timer = setTimeout(() => {
      isLate = true
      resolve(null)
    }, answerMs)
  })
  // An answer that comes before the end of its request may be lost with the connection, the more so where other programs are at work.
  let response: WireResponse | null = null
  while (response === null && !isLate)
    response = await Promise.race([exchange(edge.url, piecesOf(request)), late])
  clearTimeout(timer)
  if (response === null) throw new Error('No answer')
  return response
}

function bodyOf({ status, headers, text }: WireResponse, { method }: WireRequest): unknown {
  expect(status).toBeGreaterThanOrEqual(200)
  expect(status, text).not.toBe(500)
  if (method === 'OPTIONS' && status === 200) return null
  const type = headers.get('content-type')
  if (type === 'application/octet-stream' && status === 200) return null
  expect(type).toBe('application/json')
  if (method === 'HEAD') return null
  return JSON.parse(text)
}

/** OpenAI's door has a shape, and a code, of OpenAI's. */
export function plainRefusal(path: string, body: unknown): unknown {
  const parsed = v.safeParse(OpenAiErrorBody, body)
  if (!path.startsWith('/v1/') || !parsed.success) return body
  const { message, code } = parsed.output.error
  return { error: message, code: code === 'model_not_found' ? 'not_found' : code, params: {} }
}

/** In the one shape, with the status of a code that the route documents, and not longer than it must be. */
function expectRefusal(
  operation: Operation | undefined,
  { status, headers, text }: WireResponse,
  body: unknown,
): void {
  expect(v.safeParse(v.strictObject(ErrorBody.entries), body).issues, text).toBeUndefined()
  const { code } = body as ErrorBody
  expect(status).toBe(errorStatus[code])
  expect(['internal', 'database_unavailable']).not.toContain(code)
  const documented = operation?.codes ?? ['not_found', 'method_not_allowed', 'unauthorized']
  expect(documented, `${operation?.method} ${operation?.path}: ${code} is not among its refusals`).toContain(
    code,
  )
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(refusalBytes)
  if (status === 429 || status === 503) expect(headers.get('retry-after')).toMatch(/^\d+$/)
  if (status === 401) expect(headers.get('www-authenticate')).toBe('Bearer')
}

/** The request was as it is described, and so is the answer. */
function expectEarned({ body: schema, answer }: Operation, request: WireRequest, body: unknown): void {
  if (schema) expectRight(schema, parsed(request.body), body)
  if (answer) expect(misfit(answer, body), 'answered otherwise than described').toBeNull()
}

/** Only a request as it is described is answered; of a list whose answer is a list of outcomes, each that is not refused. */
function expectRight(schema: Schema, sent: unknown, answer: unknown): void {
  if (!schema.items || !Array.isArray(sent) || !Array.isArray(answer)) {
    expect(misfit(schema, sent), 'answered a wrong request').toBeNull()
    return
  }
  expect(answer).toHaveLength(sent.length)
  for (const [index, outcome] of answer.entries()) {
    if ('code' in (outcome as object)) expect(JSON.stringify(outcome).length).toBeLessThan(refusalBytes)
    else expect(misfit(schema.items, sent[index]), 'made of a wrong request').toBeNull()
  }
}

/** What a body says; undefined when it says nothing. */
function parsed(bytes: Uint8Array): unknown {
  try {
    // A mark at the start is skipped, as the edge's own decoder does.
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}

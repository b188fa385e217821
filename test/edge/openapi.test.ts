import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestEdge, type TestEdge } from '../support/edge.ts'

type Operation = {
  summary?: string
  tags?: string[]
  parameters?: { name: string; in: string; required?: boolean; schema: object }[]
  requestBody?: { content: Record<string, { schema: object }> }
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>
  security?: Record<string, string[]>[]
}
type Document = {
  openapi: string
  info: { title: string; version: string }
  paths: Record<string, Record<string, Operation>>
  components: { securitySchemes: Record<string, object>; schemas?: Record<string, object> }
}

let edge: TestEdge
let document: Document

beforeAll(async () => {
  edge = await startTestEdge()
  document = (await (await edge.request('/openapi.json')).json()) as Document
})
afterAll(async () => await edge[Symbol.asyncDispose]())

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )

test('default: OpenAPI 3.1 that names every route', () => {
  expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'infernet-edge', version: '0.1.0' } })
  expect(
    operations()
      .map(({ method, path }) => `${method.toUpperCase()} ${path}`)
      .toSorted(),
  ).toEqual(
    [
      'DELETE /admin/runners/{id}',
      'DELETE /api/jobs/{id}',
      'GET /admin/runners',
      'GET /api/consumers',
      'GET /api/consumers/{chain}/{address}',
      'GET /api/jobs',
      'GET /api/jobs/{id}',
      'GET /api/jobs/{id}/stream',
      'GET /api/ledger',
      'GET /api/proofs',
      'GET /api/subscriptions',
      'GET /api/subscriptions/{chain}/{id}',
      'GET /api/subscriptions/{id}',
      'POST /api/subscriptions',
      'GET /health',
      'GET /info',
      'GET /ready',
      'GET /resources',
      'GET /v1/models',
      'POST /v1/chat/completions',
      'GET /runner/jobs/{id}/input',
      'PATCH /admin/runners/{id}',
      'POST /admin/runners',
      'POST /api/jobs',
      'POST /api/jobs/batch',
      'POST /api/jobs/stream',
      'POST /runner/answer',
      'POST /runner/claim',
      'POST /runner/control',
      'POST /runner/heartbeat',
      'POST /runner/register',
      'POST /runner/report',
      'PUT /api/jobs/{id}',
      'PUT /api/status',
      'PUT /runner/jobs/{id}/result/{seq}',
      'PUT /runner/jobs/{id}/stream',
    ].toSorted(),
  )
})

test('behavior: every operation has a summary, a tag, described answers, and its path parameters once', () => {
  for (const { path, method, operation } of operations()) {
    const at = `${method} ${path}`
    expect(operation.summary, at).toBeTruthy()
    expect(operation.tags, at).toHaveLength(1)
    expect(Object.keys(operation.responses), at).toContain('200')
    for (const [status, response] of Object.entries(operation.responses)) {
      expect(status, at).toMatch(/^[1-5]\d\d$/)
      expect(response.description, at).toBeTruthy()
    }
    const inPath = (operation.parameters ?? []).filter(parameter => parameter.in === 'path')
    expect(inPath.map(({ name }) => name).toSorted(), at).toEqual(
      [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).toSorted(),
    )
    expect(
      inPath.every(({ required }) => required),
      at,
    ).toBe(true)
    const names = (operation.parameters ?? []).map(parameter => `${parameter.in} ${parameter.name}`)
    expect(new Set(names).size, at).toBe(names.length)
  }
})

test('behavior: what takes a body says which, and what is locked says how', () => {
  for (const { path, method, operation } of operations()) {
    const at = `${method} ${path}`
    const takesJson =
      ['post', 'put', 'patch'].includes(method) &&
      !['/runner/jobs/{id}/stream', '/runner/jobs/{id}/result/{seq}'].includes(path)
    const schema = operation.requestBody?.content['application/json']?.schema
    expect(schema !== undefined, at).toBe(takesJson)
    const scheme =
      path.startsWith('/admin') || ['/api/ledger', '/api/proofs'].includes(path)
        ? 'admin'
        : path.startsWith('/runner') || path === '/api/status'
          ? 'runner'
          : null
    expect(Object.keys(operation.security?.[0] ?? {}), at).toEqual(scheme ? [scheme] : [])
  }
  expect(Object.keys(document.components.securitySchemes).toSorted()).toEqual(['admin', 'runner'])
})

test('behavior: every reference leads somewhere', () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, target]) => target!)
  for (const reference of references) {
    const target = reference
      .replace(/^#\//, '')
      .split('/')
      .reduce<unknown>((node, step) => (node as Record<string, unknown>)?.[step], document)
    expect(target, reference).toBeDefined()
  }
})

test('behavior: refusals are described with the shape that they have', () => {
  const refusal = JSON.stringify(document.paths['/api/jobs']!.post!.responses['422'])
  expect(refusal).toContain('unsupported_container')
  for (const field of ['error', 'code', 'params']) expect(refusal).toContain(`"${field}"`)
})

test('behavior: a delegated subscription is described wherever it is taken, with how it is refused', () => {
  const post = (path: string) => document.paths[path]!.post!
  for (const path of ['/api/subscriptions', '/api/jobs']) {
    const schema = JSON.stringify(post(path).requestBody?.content['application/json']?.schema)
    for (const field of ['payment_amount', 'data_signature', 'chain_id', 'data'])
      expect(schema).toContain(`"${field}"`)
    for (const [status, code] of [
      ['400', 'signature_expired'],
      ['403', 'signer_mismatch'],
      ['409', 'data_conflict'],
      ['422', 'unsupported_containers'],
      ['501', 'chain_not_enabled'],
      ['503', 'chain_unavailable'],
    ] as const)
      expect(JSON.stringify(post(path).responses[status])).toContain(code)
    expect(JSON.stringify(post(path).responses['200'])).toContain('status_url')
  }
  const batch = JSON.stringify(post('/api/jobs/batch').requestBody?.content['application/json']?.schema)
  expect(batch).toContain('"payment_amount"')
})

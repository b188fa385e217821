import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, type Config, createClient } from '@libsql/client'
import { onTestFinished } from 'vitest'
import {
  type LibsqlServer,
  type LibsqlServerOptions,
  startLibsqlServer,
} from '../../src/local/libsql/server.ts'

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'libsql-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A server on a file of its own, closed when the test ends. */
export async function startServer(options: Partial<LibsqlServerOptions> = {}): Promise<LibsqlServer> {
  const path = options.path ?? join(temporaryFolder(), 'test.db')
  const server = await startLibsqlServer({ ...options, path })
  onTestFinished(() => server.close())
  return server
}

export function connect(server: { url: string }, config: Partial<Config> = {}): Client {
  const client = createClient({ url: server.url, intMode: 'bigint', ...config })
  onTestFinished(() => client.close())
  return client
}

/** The answer to one request of a pipeline. */
export type Result = {
  type: string
  error: { code: string; message: string }
  response: {
    type: string
    is_autocommit: boolean
    result: {
      rows: { type: string; value: string }[][]
      step_results: (object | null)[]
      step_errors: ({ code: string } | null)[]
    }
  }
}

/** One raw answer. What a test does not expect may be missing: then its comparison fails. */
export type Wire = {
  status: number
  body: {
    baton: string | null
    base_url: string | null
    results: Result[]
    code: string
    message: string
  }
}

/** One raw POST; `body` goes out as it is when it is a string. */
export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Wire> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(url, { method: 'POST', body: text, headers })
  const answer = await response.text()
  const isJson = response.headers.get('content-type') === 'application/json'
  return { status: response.status, body: isJson ? JSON.parse(answer) : answer }
}

/** A pipeline of version 3 on a new stream, or on the one of the baton. */
export function pipeline(server: { url: string }, requests: unknown[], baton?: string | null): Promise<Wire> {
  return post(`${server.url}/v3/pipeline`, { baton: baton ?? null, requests })
}

export const execute = (sql: string, extra: object = {}) => ({ type: 'execute', stmt: { sql, ...extra } })
export const close = { type: 'close' }

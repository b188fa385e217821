import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Argument = { type: string; value?: unknown; base64?: string }
export type Statement = { sql: string; args: Argument[] }

/** Stands between a client and its libSQL server, where it watches what passes, holds it up, or lets nothing through. */
export type SqlProxy = {
  url: string
  /** Bytes of the longest response so far. */
  largestResponse(): number
  /** The statements that passed since this was last asked, less those that only begin and end transactions. */
  takeStatements(): Statement[]
  /** Every connection breaks, until `up`. */
  down(): void
  up(): void
  /** Holds the next request whose text matches: the database has run it, but nobody is told until `release`. */
  holdAnswer(pattern: RegExp): { reached: Promise<void>; release(): void }
  close(): Promise<void>
}

/** Longer requests carry payloads: they pass unread. */
const maxWatchedBytes = 64 * 1024

type Hold = { pattern: RegExp; reach(): void; released: Promise<void> }
type Pipeline = {
  requests: {
    type: string
    stmt?: Stmt
    batch?: { steps: { stmt: Stmt }[] }
    sql_id?: number
    sql?: string
  }[]
}
type Stmt = { sql?: string; sql_id?: number; args?: Argument[] }

export async function startSqlProxy(target: string): Promise<SqlProxy> {
  let largest = 0
  let isDown = false
  let statements: Statement[] = []
  const holds = new Set<Hold>()

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (isDown) return void request.socket.destroy()
    const body = await readAll(request)
    const headers = { 'content-type': request.headers['content-type'] ?? 'application/json' }
    const answer = await fetch(new URL(request.url ?? '/', target), {
      method: request.method ?? 'GET',
      headers,
      ...(body.byteLength > 0 ? { body: new Uint8Array(body) } : {}),
    })
    const bytes = Buffer.from(await answer.arrayBuffer())
    largest = Math.max(largest, bytes.byteLength)
    const text = body.byteLength > maxWatchedBytes ? '' : body.toString()
    if (text.startsWith('{')) statements.push(...statementsOf(JSON.parse(text) as Pipeline))
    for (const hold of [...holds].filter(({ pattern }) => pattern.test(text))) {
      holds.delete(hold)
      hold.reach()
      await hold.released
    }
    if (isDown) return void request.socket.destroy()
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' })
    response.end(bytes)
  }

  const server = createServer((request, response) => {
    pass(request, response).catch(() => request.socket.destroy())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    largestResponse: () => largest,
    takeStatements() {
      const taken = statements
      statements = []
      return taken
    },
    down() {
      isDown = true
      server.closeAllConnections()
    },
    up() {
      isDown = false
    },
    holdAnswer(pattern) {
      const reached = Promise.withResolvers<void>()
      const released = Promise.withResolvers<void>()
      holds.add({ pattern, reach: reached.resolve, released: released.promise })
      return { reached: reached.promise, release: released.resolve }
    },
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function statementsOf({ requests }: Pipeline): Statement[] {
  const stored = new Map(requests.map(({ sql_id, sql }) => [sql_id, sql]))
  return requests
    .flatMap(({ stmt, batch }) => (stmt ? [stmt] : (batch?.steps ?? []).map(step => step.stmt)))
    .map(({ sql, sql_id, args }) => ({ sql: sql ?? stored.get(sql_id) ?? '', args: args ?? [] }))
    .filter(({ sql }) => !/^(begin|commit|rollback)/i.test(sql))
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

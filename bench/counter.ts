import { createServer, request } from 'node:http'

export type Counter = {
  url: string
  requests(): number
  /** SQL statements in the requests, transaction control not counted. */
  statements(): number
  /** The largest answer that passed, in bytes. */
  largestAnswer(): number
  close(): Promise<void>
}

/** A proxy in front of one of our servers that counts what passes. */
export async function startCounter(target: string): Promise<Counter> {
  let requests = 0
  let statements = 0
  let largestAnswer = 0
  const server = createServer((incoming, outgoing) => {
    requests += 1
    const chunks: Buffer[] = []
    incoming.on('data', chunk => chunks.push(chunk))
    incoming.on('end', () => {
      const body = Buffer.concat(chunks)
      if (incoming.url?.endsWith('/pipeline')) statements += countStatements(body.toString())
      const onward = request(
        new URL(incoming.url ?? '/', target),
        { method: incoming.method, headers: incoming.headers },
        answer => {
          outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
          let bytes = 0
          answer.on('data', chunk => {
            bytes += chunk.length
            largestAnswer = Math.max(largestAnswer, bytes)
          })
          answer.pipe(outgoing)
        },
      )
      onward.on('error', () => outgoing.destroy())
      outgoing.on('close', () => onward.destroy())
      onward.end(body)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('The counter does not listen')
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests: () => requests,
    statements: () => statements,
    largestAnswer: () => largestAnswer,
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

type Pipeline = { requests: { type: string; batch?: { steps: { stmt: { sql?: string } }[] } }[] }

function countStatements(body: string): number {
  let count = 0
  for (const { type, batch } of (JSON.parse(body) as Pipeline).requests) {
    if (type === 'execute') count += 1
    for (const { stmt } of batch?.steps ?? []) {
      if (!/^\s*(begin|commit|rollback)/i.test(stmt.sql ?? '')) count += 1
    }
  }
  return count
}

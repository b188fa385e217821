import type { IncomingMessage } from 'node:http'
import { ProtocolError } from './error.ts'

/** The request's body as text. Rejects with 413 as soon as it is known to be longer than `limit` bytes. */
export function readBody(request: IncomingMessage, limit: number): Promise<string> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > limit) return reject(tooLarge(limit))
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > limit) reject(tooLarge(limit))
      else chunks.push(chunk)
    })
    request.on('end', () => resolve(join(chunks)))
    request.on('error', () => reject(new ProtocolError('The request was cut off', 'REQUEST_ABORTED')))
  })
}

function tooLarge(limit: number): ProtocolError {
  return new ProtocolError(`The request is larger than ${limit} bytes`, 'REQUEST_TOO_LARGE', 413)
}

// Joined before they are decoded: a character may lie across two chunks.
function join(chunks: Buffer[]): string {
  const [first, ...more] = chunks
  return first !== undefined && more.length === 0 ? first.toString() : Buffer.concat(chunks).toString()
}

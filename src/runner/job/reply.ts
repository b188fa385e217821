import { open } from 'node:fs/promises'
import type { Dispatcher } from 'undici'
import { onDisk } from '../disk.ts'
import { fileSource, type Rope } from '../rope.ts'
import { excerpt, type Failed, type Failure, quotedBytes } from './failure.ts'
import type { Scratch } from './scratch.ts'
import { createValidator, jsonText } from './valid.ts'

export type Reply = { ok: true; text: Rope } | Failed

type Body = Dispatcher.ResponseData['body']

/** For the body of a reply that is judged already by its status or its type: it may never end. */
const restMs = 2_000

/** Reads a reply that claims to be JSON: small ones in memory, large ones into a file, none beyond the bound. @throws DiskError */
export async function readJson(body: Body, announcedBytes: number, scratch: Scratch): Promise<Reply> {
  if (announcedBytes > scratch.maxBytes) {
    discard(body)
    return tooLarge(scratch)
  }
  // The usual case, without the cost of iterating over a stream. An absent length is NaN, and goes the long way.
  if (announcedBytes <= scratch.memoryBytes) return smallReply(Buffer.from(await body.arrayBuffer()))
  const { chunks, rest } = await readUpTo(body, scratch.memoryBytes)
  const head = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
  return rest === null ? smallReply(head) : await largeReply(head, rest, scratch)
}

/** The first bytes of a body, for an error text: what has come of it in time, however it ends. The rest is not waited for. */
export async function readExcerpt(body: Body): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  const late = setTimeout(() => discard(body), restMs)
  try {
    for await (const chunk of body) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > quotedBytes) break
    }
  } catch {
    // That its body breaks off makes no other reply of it.
  } finally {
    clearTimeout(late)
    discard(body)
  }
  return excerpt(Buffer.concat(chunks))
}

/** Lets a body end that nobody reads, so that its connection can be used again; one that does not end soon is given up. */
export async function passOver(body: Body): Promise<void> {
  const late = setTimeout(() => discard(body), restMs)
  await body.dump().finally(() => clearTimeout(late))
}

/** Gives up on the rest of a body, and with it on the connection. */
export function discard(body: Body): void {
  body.on('error', () => {})
  body.destroy()
}

type Head = { chunks: Buffer[]; rest: AsyncIterator<Buffer> | null }

/** Stops after the chunk that goes past the limit; `rest` null: the body is over. */
async function readUpTo(body: Body, limit: number): Promise<Head> {
  const iterator: AsyncIterator<Buffer> = body[Symbol.asyncIterator]()
  const chunks: Buffer[] = []
  let bytes = 0
  while (bytes <= limit) {
    const next = await iterator.next()
    if (next.done) return { chunks, rest: null }
    chunks.push(next.value)
    bytes += next.value.length
  }
  return { chunks, rest: iterator }
}

function smallReply(bytes: Buffer): Reply {
  const text = jsonText(bytes)
  if (text !== null) return { ok: true, text: [text] }
  // The reference takes no text at all for null, and hands null to the next container.
  return bytes.toString().trim() === '' ? { ok: true, text: ['null'] } : invalid(bytes)
}

async function largeReply(head: Buffer, rest: AsyncIterator<Buffer>, scratch: Scratch): Promise<Reply> {
  const path = scratch.add()
  let kept = false
  try {
    const reply = await keepReply(head, rest, { path, scratch })
    kept = reply.ok
    return reply
  } finally {
    // Gives up on what is left of the body.
    await rest.return?.()
    if (!kept) await scratch.remove(path)
  }
}

async function keepReply(
  head: Buffer,
  rest: AsyncIterator<Buffer>,
  { path, scratch }: { path: string; scratch: Scratch },
): Promise<Reply> {
  const file = await onDisk(open(path, 'w', 0o600))
  const validator = createValidator()
  let bytes = 0

  async function take(chunk: Buffer): Promise<Failure | null> {
    bytes += chunk.length
    if (bytes > scratch.maxBytes) return tooLarge(scratch).failure
    if (!validator.push(chunk)) return invalid(head).failure
    await onDisk(file.appendFile(chunk))
    scratch.grew(path, chunk.length)
    return null
  }

  try {
    let failure = await take(head)
    for (let next = await rest.next(); !next.done && failure === null; next = await rest.next())
      failure = await take(next.value)
    if (failure !== null) return { ok: false, failure }
    return validator.end() ? { ok: true, text: [fileSource(path, bytes)] } : invalid(head)
  } finally {
    await onDisk(file.close())
  }
}

function invalid(head: Buffer): Failed {
  return {
    ok: false,
    failure: { code: 'invalid_output', error: excerpt(head), detail: 'the reply is not JSON' },
  }
}

function tooLarge({ maxBytes }: Pick<Scratch, 'maxBytes'>): Failed {
  const error = `The reply is larger than ${maxBytes} bytes`
  return { ok: false, failure: { code: 'output_too_large', error, detail: error } }
}

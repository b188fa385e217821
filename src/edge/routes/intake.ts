import { sha256 } from '@noble/hashes/sha2'
import { bytesToHex } from '@noble/hashes/utils'
import { uuidv7 } from 'uuidv7'
import { JsonLimitError, JsonShapeError, JsonSyntaxError } from '../../protocol/json-errors.ts'
import { createScanner, type JsonType, type ScanEvent } from '../../protocol/json-scan.ts'
import { limits } from '../../protocol/limits.ts'
import { bodyTooLarge, brokeOff, unbroken } from './body.ts'
import { createInput, type Input, type InputStore } from './input.ts'
import { RefusalError } from './refuse.ts'

/** One request of a body: a job, or an element of a batch. */
export type Item = {
  id: string
  /** JSON text of the item with `data` replaced by null; null when the item is not an object. */
  fields: Uint8Array | null
  /** JSON type of `data`; null when there is none. */
  dataType: JsonType | null
  input: Input
}

/** Bytes scanned between two chances to put parts away: what one body can hold in memory beyond a part. */
const sliceBytes = 256 * 1024

export type ReadOptions = {
  batch: boolean
  store: InputStore
  /** Whether to tell this body from others. */
  fingerprinted: boolean
}

/** `fingerprint`: SHA-256 of the body, in hex. Null when not asked for. */
export type Read = { items: Item[]; fingerprint: string | null }

/**
 * Reads a body of job requests without ever holding it whole: inputs above the inline limit go to `store` as they come.
 * @throws RefusalError when the body is not JSON, too large, too deep, or (`batch`) not a list of at most 100. Then everything
 * that was stored is forgotten.
 */
export async function readItems(request: Request, options: ReadOptions): Promise<Read> {
  const items: Item[] = []
  const hash = options.fingerprinted ? sha256.create() : null
  try {
    await scan(request, { ...options, items, hash })
    for (const item of items) await item.input.close()
    return { items, fingerprint: hash && bytesToHex(hash.digest()) }
  } catch (error) {
    for (const { input } of items) await input.abandon()
    throw toRefusalError(error)
  }
}

async function scan(
  request: Request,
  {
    batch,
    items,
    store,
    hash,
  }: ReadOptions & { items: Item[]; hash: ReturnType<typeof sha256.create> | null },
): Promise<void> {
  const scanner = createScanner({
    carry: 'data',
    maxItems: batch ? limits.batchItems : null,
    maxDepth: limits.jsonDepth,
    maxFieldBytes: limits.fieldBytes,
  })
  const take = (event: ScanEvent) => takeEvent(items, event, store)
  let received = 0
  for await (const chunk of chunksOf(request)) {
    received += chunk.byteLength
    if (received > limits.bodyBytes) throw bodyTooLarge(limits.bodyBytes)
    hash?.update(chunk)
    for (let from = 0; from < chunk.byteLength; from += sliceBytes) {
      const before = Math.max(items.length - 1, 0)
      scanner.push(chunk.subarray(from, from + sliceBytes), take)
      // Only these can have grown.
      for (const item of items.slice(before)) await item.input.settle()
    }
  }
  scanner.end(take)
}

/**
 * The body, piece by piece; each is valid until the next is asked for. A small one comes whole: going through a stream takes workerd
 * several times as long as all that we do with it. A large one goes through a single buffer where the host can: workerd's own
 * chunks are 4 KiB each. Node's bodies are no byte streams, and their chunks 64 KiB.
 */
async function* chunksOf(request: Request): AsyncGenerator<Uint8Array> {
  const length = Number(request.headers.get('content-length') ?? Number.NaN)
  if (length <= sliceBytes) yield new Uint8Array(await unbroken(request.arrayBuffer()))
  else if (request.body) yield* read(request.body)
}

function read(body: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  const reader = byobReader(body)
  return reader ? readInto(reader) : readEach(body)
}

/** What its consumer throws does not come here: it only ends this. */
async function* readEach(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } catch {
    throw brokeOff()
  }
}

function byobReader(body: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | null {
  try {
    return body.getReader({ mode: 'byob' })
  } catch {
    return null
  }
}

async function* readInto(reader: ReadableStreamBYOBReader): AsyncGenerator<Uint8Array> {
  try {
    let buffer = new ArrayBuffer(sliceBytes)
    for (;;) {
      const { done, value } = await unbroken(reader.read(new Uint8Array(buffer)))
      if (done || !value) return
      yield value
      buffer = value.buffer as ArrayBuffer
    }
  } finally {
    reader.releaseLock()
  }
}

function takeEvent(items: Item[], event: ScanEvent, store: InputStore): void {
  if (event.kind === 'item') {
    const id = uuidv7()
    items.push({ id, fields: null, dataType: null, input: createInput({ id, store }) })
    return
  }
  const item = items.at(-1)
  if (!item) return
  if (event.kind === 'data') {
    item.input.add(event.bytes)
    return
  }
  item.fields = event.fields
  item.dataType = event.carried
}

function toRefusalError(error: unknown): unknown {
  if (error instanceof JsonSyntaxError)
    return new RefusalError('malformed_json', `Malformed JSON: ${error.message}`)
  if (error instanceof JsonShapeError) return new RefusalError('not_a_list', 'Expected a list')
  if (!(error instanceof JsonLimitError)) return error
  if (error.limit === 'items') {
    return new RefusalError('batch_too_large', 'Too many jobs in one batch', { limit: limits.batchItems })
  }
  return new RefusalError('invalid_request', error.message)
}

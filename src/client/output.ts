import { JsonLimitError, JsonSyntaxError } from '../protocol/json-errors.ts'
import { createScanner } from '../protocol/json-scan.ts'
import { badAnswer } from './answer.ts'
import type { CallOptions, Transport } from './transport.ts'

/** Far above what any result nests; the scanner wants a bound. */
const maxDepth = 100_000
const maxFieldBytes = 64 * 1024 * 1024

/**
 * The output of a job as the JSON text that its last container wrote, byte for byte. null: it has none, because the job is
 * unknown, has not ended, or failed.
 */
export async function getOutputText(
  transport: Transport,
  id: string,
  { signal }: CallOptions = {},
): Promise<string | null> {
  const query = new URLSearchParams({ id })
  const answer = await transport.send({ method: 'GET', path: '/api/jobs', query, repeatable: true, signal })
  try {
    const result = carriedBy(answer.bytes, { carry: 'result', maxItems: 1 })
    const output = result && carriedBy(result, { carry: 'output', maxItems: null })
    return output && new TextDecoder().decode(output)
  } catch (cause) {
    if (cause instanceof JsonSyntaxError || cause instanceof JsonLimitError)
      throw badAnswer(answer, cause.message, cause)
    throw cause
  }
}

/** The bytes of the value under a key of the (one) item of a JSON text; null when it has no such key. */
function carriedBy(
  json: Uint8Array,
  { carry, maxItems }: { carry: string; maxItems: number | null },
): Uint8Array | null {
  const scanner = createScanner({ carry, maxItems, maxDepth, maxFieldBytes })
  let carried: Uint8Array | null = null
  // The whole text is pushed at once: the value comes in one piece.
  scanner.push(json, event => {
    if (event.kind === 'data') carried = event.bytes
  })
  scanner.end(() => {})
  return carried
}

import { JsonSyntaxError } from '../../protocol/json-errors.ts'
import { createScanner } from '../../protocol/json-scan.ts'

export type ParsedJson = { ok: true; value: unknown } | { ok: false; place: string }

/**
 * Integers beyond 2^53, as in `accepted_payments`, become decimal text. A syntax error is told by its place alone: the
 * parser's own message quotes the file, and the file holds secrets.
 */
export function parseJson(source: string): ParsedJson {
  try {
    return { ok: true, value: JSON.parse(source, keepLargeIntegers) }
  } catch {
    return { ok: false, place: placeOfError(Buffer.from(source)) }
  }
}

function keepLargeIntegers(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const written = context?.source
  return written !== undefined && /^\d+$/.test(written) ? written : value
}

/** The wire's scanner knows the byte at which a text stops being JSON. */
function placeOfError(bytes: Buffer): string {
  const scanner = createScanner({
    carry: '',
    maxItems: null,
    maxDepth: 1_000,
    maxFieldBytes: bytes.length + 1,
  })
  try {
    scanner.push(bytes, () => {})
    scanner.end(() => {})
  } catch (error) {
    if (error instanceof JsonSyntaxError) {
      const before = bytes.subarray(0, error.offset).toString().split('\n')
      return `line ${before.length} column ${(before.at(-1)?.length ?? 0) + 1}`
    }
  }
  return 'the whole file'
}

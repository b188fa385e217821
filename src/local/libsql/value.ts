import { ProtocolError, SqlError } from './error.ts'
import type { Value } from './schema.ts'

/** What the engine's binding takes and gives: bigint is INTEGER and number is REAL, always. */
export type EngineValue = null | bigint | number | string | Uint8Array

const I64_MIN = -(2n ** 63n)
const I64_MAX = 2n ** 63n - 1n

export function decodeValue(value: Value): EngineValue {
  switch (value.type) {
    case 'null':
      return null
    case 'integer':
      return decodeInteger(value.value)
    case 'float':
      return value.value
    case 'text':
      return decodeText(value.value)
    case 'blob':
      return Buffer.from(value.base64, 'base64')
  }
}

function decodeInteger(text: string): bigint {
  const integer = BigInt(text)
  if (integer < I64_MIN || integer > I64_MAX) throw new ProtocolError(`Integer ${text} does not fit 64 bits`)
  return integer
}

// The binding stores such a text whole and reads it back cut at the first NUL. A refusal is better than that.
function decodeText(text: string): string {
  if (text.includes('\0'))
    throw new SqlError('ARGS_INVALID', 'Text with a NUL byte cannot be read back here: use a blob')
  return text
}

export function encodeValue(value: EngineValue): Value | { type: 'float'; value: unknown } {
  if (value === null) return { type: 'null' }
  switch (typeof value) {
    case 'string':
      return { type: 'text', value }
    case 'bigint':
      return { type: 'integer', value: value.toString() }
    case 'number':
      return { type: 'float', value: Object.is(value, -0) ? NEGATIVE_ZERO : value }
    default:
      return { type: 'blob', base64: encodeBase64(value) }
  }
}

// JSON.stringify would drop the sign.
const NEGATIVE_ZERO = rawJson('-0.0')

// sqld sends base64 without padding, and the specification lets it.
function encodeBase64(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return padding === 0 ? text : text.slice(0, -padding)
}

/** Bytes of the value in the database, give or take: text is counted in UTF-16 units, which never overstates it. */
export function sizeOf(value: EngineValue): number {
  if (value === null) return 1
  if (typeof value === 'string') return value.length
  return typeof value === 'object' ? value.byteLength : 8
}

// JSON.rawJSON is in Node 26 and not yet in TypeScript's libraries.
function rawJson(text: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text)
}

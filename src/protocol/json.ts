/**
 * JSON with what `JSON.parse` drops: the order of keys, and how numbers are written. An object is a `Map` (of a key that is there twice, the
 * last value), a whole number a `bigint`, another number its text.
 */
export type Json = null | boolean | string | bigint | JsonFloat | Json[] | Map<string, Json>
/** A number with a point or an exponent, as it is written. */
export type JsonFloat = { float: string }

/** Beyond it Python's own reader gives up, too. */
const maxDepth = 512

const space = /[ \t\n\r]*/y
const number = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y
const words: readonly (readonly [string, null | boolean])[] = [
  ['null', null],
  ['true', true],
  ['false', false],
]

type Cursor = { text: string; at: number }

/** @throws SyntaxError when it is no JSON, or is nested deeper than 512. */
export function parseJson(text: string): Json {
  const cursor = { text, at: 0 }
  const value = readValue(cursor, 0)
  skip(cursor, space)
  if (cursor.at < text.length) throw unexpected(cursor)
  return value
}

/** JSON text without spaces. */
export function jsonText(value: Json): string {
  if (typeof value === 'bigint') return value.toString()
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`
  if (value instanceof Map)
    return `{${[...value].map(([key, item]) => `${JSON.stringify(key)}:${jsonText(item)}`).join(',')}}`
  return value.float
}

/** The same for schemas: plain objects. What is not whole stays a `JsonFloat`, which no schema takes for a number by mistake. */
export function plain(value: Json): unknown {
  if (Array.isArray(value)) return value.map(plain)
  // `fromEntries` defines: `__proto__` is a key like others.
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]))
  return value
}

function readValue(cursor: Cursor, depth: number): Json {
  if (depth > maxDepth) throw new SyntaxError(`JSON that is nested deeper than ${maxDepth}`)
  skip(cursor, space)
  const first = cursor.text[cursor.at]
  if (first === '{') return readObject(cursor, depth)
  if (first === '[') return readArray(cursor, depth)
  if (first === '"') return readString(cursor)
  for (const [word, value] of words) {
    if (!cursor.text.startsWith(word, cursor.at)) continue
    cursor.at += word.length
    return value
  }
  return readNumber(cursor)
}

function readObject(cursor: Cursor, depth: number): Map<string, Json> {
  const object = new Map<string, Json>()
  readItems(cursor, '}', () => {
    skip(cursor, space)
    const key = readString(cursor)
    skip(cursor, space)
    if (!take(cursor, ':')) throw unexpected(cursor)
    object.set(key, readValue(cursor, depth + 1))
  })
  return object
}

function readArray(cursor: Cursor, depth: number): Json[] {
  const array: Json[] = []
  readItems(cursor, ']', () => array.push(readValue(cursor, depth + 1)))
  return array
}

function readItems(cursor: Cursor, close: string, read: () => void): void {
  cursor.at += 1
  skip(cursor, space)
  if (take(cursor, close)) return
  do {
    read()
    skip(cursor, space)
  } while (take(cursor, ','))
  if (!take(cursor, close)) throw unexpected(cursor)
}

function readString(cursor: Cursor): string {
  const from = cursor.at
  if (!take(cursor, '"')) throw unexpected(cursor)
  let end = cursor.text.indexOf('"', cursor.at)
  while (end >= 0 && isEscaped(cursor.text, end)) end = cursor.text.indexOf('"', end + 1)
  if (end < 0) throw unexpected(cursor)
  cursor.at = end + 1
  return JSON.parse(cursor.text.slice(from, cursor.at)) as string
}

/** Whether an odd number of backslashes stands before it. */
function isEscaped(text: string, index: number): boolean {
  let from = index
  while (text[from - 1] === '\\') from -= 1
  return (index - from) % 2 === 1
}

function readNumber(cursor: Cursor): bigint | JsonFloat {
  const from = cursor.at
  skip(cursor, number)
  const source = cursor.text.slice(from, cursor.at)
  if (source === '' || /^-?0\d/.test(source)) throw unexpected(cursor)
  return /[.eE]/.test(source) ? { float: source } : BigInt(source)
}

function skip(cursor: Cursor, pattern: RegExp): void {
  pattern.lastIndex = cursor.at
  if (pattern.test(cursor.text)) cursor.at = pattern.lastIndex
}

function take(cursor: Cursor, character: string): boolean {
  if (cursor.text[cursor.at] !== character) return false
  cursor.at += 1
  return true
}

function unexpected({ at }: Cursor): SyntaxError {
  return new SyntaxError(`No JSON from character ${at} on`)
}

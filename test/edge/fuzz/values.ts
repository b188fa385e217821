import * as fc from 'fast-check'
import type { Schema } from './document.ts'
import { type Node, print, replaceAt, scalar, sizeOf, text } from './json.ts'

/** Names that mean something where a request goes, so that what is hostile is near what is right. */
export type Pool = {
  /** The sender's own. */
  instance: string
  uuids: string[]
  pathIds: string[]
  containers: string[]
  addresses: string[]
}

const hostileStrings = [
  ...['', ' ', '\0', 'a\0b', '\ud800', 'a\udc00b', '\uffff', '\ufeff', '\u2028', '🦜', 'x\nleaked'],
  ...['__proto__', 'constructor', 'toString', 'toJSON', 'null', 'NaN', '-1', '1e9', '0x10'],
  ...["' or 1=1 --", '"', '\\', '%', '%00', '{{x}}', '../../etc/passwd', 'a,b', ',', '*'],
  'x'.repeat(129),
  'x'.repeat(5_000),
  '\n'.repeat(3_000),
]
const hostileString = fc.oneof(
  fc.constantFrom(...hostileStrings),
  fc.string({ unit: 'binary', maxLength: 20 }),
)

const deep = (open: string, close: string, levels: number) =>
  text(`${open.repeat(levels)}1${close.repeat(levels)}`)
const hostileNode: fc.Arbitrary<Node> = fc.oneof(
  fc.constantFrom(
    ...['null', 'true', '0', '-0', '-1', '0.5', '1e308', '1e400', '-1e400', '9007199254740993'].map(text),
    ...[
      '123456789012345678901234567890',
      '[]',
      '{}',
      '[[]]',
      '{"":{}}',
      'NaN',
      'undefined',
      '01',
      '.5',
      "'x'",
    ].map(text),
    ...[
      '"\\ud800"',
      '"\\u0000"',
      '"\\udc00\\ud800"',
      '"\t"',
      '"\\x"',
      '{"a":1,"a":2}',
      '{"__proto__":{"x":1}}',
    ].map(text),
    ...[
      deep('[', ']', 600),
      deep('{"1":', '}', 600),
      deep('{"a":[', ']}', 5_000),
      text(`[${'{},'.repeat(2_000)}{}]`),
    ],
  ),
  hostileString.map(scalar),
  fc.double().map(scalar),
)

/** A change of a value somewhere in a text. */
const mutation: fc.Arbitrary<(old: Node) => Node> = fc.oneof(
  { weight: 4, arbitrary: hostileNode.map(node => () => node) },
  {
    weight: 2,
    arbitrary: fc.tuple(hostileString, hostileNode).map(
      ([key, value]) =>
        (old: Node): Node =>
          old.kind === 'object' ? { ...old, entries: [...old.entries, [key, value]] } : value,
    ),
  },
  {
    weight: 2,
    arbitrary: fc.nat(20).map(
      place =>
        (old: Node): Node =>
          old.kind === 'object'
            ? { ...old, entries: old.entries.toSpliced(place % (old.entries.length || 1), 1) }
            : text('[]'),
    ),
  },
  {
    weight: 1,
    arbitrary: hostileNode.map(
      value =>
        (old: Node): Node =>
          old.kind === 'object' && old.entries[0]
            ? { ...old, entries: [...old.entries, [old.entries[0][0], value]] }
            : value,
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(2, 65, 101, 257, 1_025).map(
      times =>
        (old: Node): Node =>
          old.kind === 'array' && old.items[0]
            ? { ...old, items: Array.from({ length: times }, () => old.items[0] as Node) }
            : old,
    ),
  },
)

/** A value that a schema allows, of small size. */
export function fittingNode(schema: Schema, pool: Pool, name = ''): fc.Arbitrary<Node> {
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(option => fittingNode(option, pool, name)))
  if (schema.enum) return fc.constantFrom(...schema.enum.map(scalar))
  switch (schema.type) {
    case 'object':
      return objectOf(schema, pool)
    case 'array':
      return fc
        .array(fittingNode(schema.items ?? {}, pool, name), { minLength: schema.minItems ?? 0, maxLength: 3 })
        .map(items => ({ kind: 'array', items }))
    case 'string':
      return stringOf(schema, pool, name).map(scalar)
    case 'integer':
      return integerOf(schema, name).map(scalar)
    case 'number':
      return fc
        .integer({ min: Math.ceil(schema.minimum ?? -10), max: Math.min(schema.maximum ?? 10, 10) })
        .map(scalar)
    case 'boolean':
      return fc.boolean().map(scalar)
    case 'null':
      return fc.constant(scalar(null))
    default:
      return fc.jsonValue().map(scalar)
  }
}

function objectOf(
  { properties = {}, required = [], additionalProperties }: Schema,
  pool: Pool,
): fc.Arbitrary<Node> {
  const fields = Object.entries(properties).map(([key, schema]) => {
    const value = fittingNode(schema, pool, key)
    return (required.includes(key) ? value : fc.option(value)).map(node =>
      node ? [[key, node] as const] : [],
    )
  })
  const more =
    typeof additionalProperties === 'object'
      ? fc.array(fc.tuple(fc.string(), fittingNode(additionalProperties, pool)), { maxLength: 3 })
      : fc.constant([])
  return fc
    .tuple(fc.tuple(...fields), more)
    .map(([known, rest]) => ({ kind: 'object', entries: [...known.flat(), ...rest] }))
}

function stringOf(
  { format, pattern, minLength = 0, maxLength = 64 }: Schema,
  pool: Pool,
  name: string,
): fc.Arbitrary<string> {
  // Of an instance that is not the sender's nothing is taken.
  if (name === 'instance')
    return fc.oneof(
      { weight: 3, arbitrary: fc.constant(pool.instance) },
      { weight: 1, arbitrary: fc.constantFrom(...pool.uuids) },
    )
  if (format === 'uuid')
    return fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...pool.uuids) },
      { weight: 1, arbitrary: fc.uuid() },
    )
  const fitting =
    pattern === undefined
      ? fc.string({ minLength, maxLength: Math.min(maxLength, 64) })
      : fc.stringMatching(new RegExp(pattern))
  const known = knownStrings(pool)[name]
  return known === undefined
    ? fitting
    : fc.oneof({ weight: 1, arbitrary: fitting }, { weight: 5, arbitrary: fc.constantFrom(...known) })
}

/** What fields of a name are likely to want. */
function knownStrings({ containers }: Pool): Record<string, string[]> {
  return {
    containers,
    id: containers,
    route: containers,
    status: ['success', 'failed', 'running'],
    text: ['{"container":"echo","output":1}', '{"container":"echo","error":"x"}', '[]'],
    answer: ['{}', '{"echo":{}}'],
  }
}

function integerOf(
  { minimum = 0, maximum = Number.MAX_SAFE_INTEGER }: Schema,
  name: string,
): fc.Arbitrary<number> {
  // A long poll is no more hostile for being long.
  if (name === 'wait_ms') return fc.constantFrom(0, 0, 1, 20)
  const near = [minimum, minimum + 1, minimum + 2].filter(value => value <= maximum)
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...near) },
    { weight: 1, arbitrary: fc.integer({ min: minimum, max: maximum }) },
  )
}

/** Bytes of a body that a schema allows; without one, some bytes. */
export function rightBody(schema: Schema | null, pool: Pool): fc.Arbitrary<Uint8Array> {
  if (schema === null) return fc.uint8Array({ minLength: 1, maxLength: 64 })
  return fittingNode(schema, pool).map(node => Buffer.from(print(node)))
}

type Spoil = (bytes: Buffer, at: number) => Buffer
const insert = (bytes: Buffer, at: number, what: number[]) =>
  Buffer.concat([bytes.subarray(0, at), Buffer.from(what), bytes.subarray(at)])
const spoils: Spoil[] = [
  (bytes, at) => bytes.subarray(0, at),
  (bytes, at) => insert(bytes, at, [0xff]),
  // Half a surrogate pair, as no UTF-8 has it.
  (bytes, at) => insert(bytes, at, [0xed, 0xa0, 0x80]),
  (bytes, at) => insert(bytes, at, [0]),
  bytes => insert(bytes, 0, [0xef, 0xbb, 0xbf]),
  bytes => Buffer.concat([bytes, bytes]),
  bytes => Buffer.from(`[${bytes}]`),
  bytes => Buffer.from(bytes.toString(), 'utf16le'),
]

/** Bytes of a body that is wrong in one place or two, as a value or as a text, or altogether. */
export function hostileBody(schema: Schema | null, pool: Pool): fc.Arbitrary<Uint8Array> {
  const randomBytes = fc.uint8Array({ maxLength: 64 })
  if (schema === null)
    return fc.oneof(randomBytes, fc.constant(Buffer.from('')), fc.constant(Buffer.from('{}')))
  const changes = fc.array(fc.tuple(fc.nat(), mutation), { minLength: 1, maxLength: 2 })
  const nearMiss = fc
    .tuple(fittingNode(schema, pool), changes)
    .map(([right, steps]) =>
      steps.reduce((node, [place, change]) => replaceAt(node, place % sizeOf(node), change), right),
    )
    .map(node => Buffer.from(print(node)))
  const spoilt = fc
    .tuple(rightBody(schema, pool), fc.nat(), fc.constantFrom(...spoils))
    .map(([body, at, spoil]) => spoil(Buffer.from(body), at % (body.length || 1)))
  return fc.oneof(
    { weight: 8, arbitrary: nearMiss },
    { weight: 3, arbitrary: spoilt },
    { weight: 1, arbitrary: randomBytes },
  )
}

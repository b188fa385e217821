import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { JsonLimitError, JsonShapeError, JsonSyntaxError } from '../../src/protocol/json-errors.ts'
import { createScanner, type ScanEvent, type ScanOptions } from '../../src/protocol/json-scan.ts'

const SINGLE: ScanOptions = { carry: 'data', maxItems: null, maxDepth: 10_000, maxFieldBytes: 1_000_000 }
const BATCH: ScanOptions = { ...SINGLE, maxItems: 1_000 }

type Item = { type: string; data: string | null; fields: string | null; carried: string | null }

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array): string =>
  new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)

/** Where to cut a text of `length` bytes, from any numbers; equal cuts make empty chunks. */
function cutsOf(length: number, numbers: readonly number[]): number[] {
  return [...numbers.map(number => number % (length + 1)), length].sort((a, b) => a - b)
}

/** The items of a body pushed in pieces, each of which is overwritten once it has been pushed. */
function scan(body: Uint8Array | string, options: ScanOptions = SINGLE, numbers: number[] = []): Item[] {
  const bytes = typeof body === 'string' ? encode(body) : body
  const items: Item[] = []
  let pieces: number[] = []
  const emit = (event: ScanEvent): void => {
    if (event.kind === 'item') {
      pieces = []
      items.push({ type: event.type, data: null, fields: null, carried: null })
    } else if (event.kind === 'data') {
      expect(event.bytes.length).toBeGreaterThan(0)
      for (const byte of event.bytes) pieces.push(byte)
    } else {
      const item = items.at(-1)!
      item.data = event.carried === null ? null : decode(Uint8Array.from(pieces))
      item.fields = event.fields && decode(event.fields)
      item.carried = event.carried
    }
  }
  const scanner = createScanner(options)
  let from = 0
  for (const to of cutsOf(bytes.length, numbers)) {
    const chunk = bytes.slice(from, to)
    scanner.push(chunk, emit)
    chunk.fill(0xff)
    from = to
  }
  scanner.end(emit)
  return items
}

function byteByByte(body: string): number[] {
  return Array.from(encode(body), (_, index) => index)
}

/** What came of a scan, for comparing: its items, or its error. */
function outcome(body: Uint8Array, options: ScanOptions, numbers: number[] = []): unknown {
  try {
    return scan(body, options, numbers)
  } catch (error) {
    return String(error)
  }
}

function accepts(body: Uint8Array, options: ScanOptions, numbers: number[] = []): boolean {
  try {
    scan(body, options, numbers)
    return true
  } catch (error) {
    if (error instanceof JsonSyntaxError || error instanceof JsonShapeError) return false
    throw error
  }
}

function parse(bytes: Uint8Array): { value: unknown } | null {
  try {
    return { value: JSON.parse(decode(bytes)) }
  } catch {
    return null
  }
}

// Texts.

const cuts = fc.array(fc.nat(), { maxLength: 8 })
const space = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  fc.string({ unit: fc.constantFrom(' ', '\t', '\n', '\r'), maxLength: 4 }),
)
const numberText = fc.oneof(
  fc.integer().map(String),
  fc.bigInt({ min: -(2n ** 256n), max: 2n ** 256n }).map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.constantFrom('0', '-0', '-0.0', '1e5', '1E+05', '10.25e-30', '0e0', '1e999'),
)
const stringText = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }).map(text => JSON.stringify(text).slice(1, -1)),
      fc.string({ unit: 'grapheme-ascii' }).map(text => JSON.stringify(text).slice(1, -1)),
      fc.constantFrom(...'\\u0061 \\uD83D\\uDE00 \\ud800 \\/ \\b \u2028 \ufeff \u007f 😀 }'.split(' ')),
    ),
    { maxLength: 4 },
  )
  .map(parts => `"${parts.join('')}"`)

/** JSON texts of values, with whitespace wherever it may be. */
const { value: valueText } = fc.letrec<{ value: string; padded: string }>(tie => ({
  padded: fc.tuple(space, tie('value'), space).map(parts => parts.join('')),
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('true', 'false', 'null', '[]', '{}', '[ ]', '{\n}'),
    numberText,
    stringText,
    fc.array(tie('padded'), { minLength: 1, maxLength: 5 }).map(all => `[${all.join(',')}]`),
    fc
      .array(fc.tuple(space, stringText, space, tie('padded')), { minLength: 1, maxLength: 5 })
      .map(
        all => `{${all.map(([before, key, after, value]) => `${before}${key}${after}:${value}`).join(',')}}`,
      ),
  ),
}))

const text = fc
  .oneof(
    valueText,
    fc.json(),
    fc.json({ maxDepth: 20 }),
    fc.tuple(space, valueText, space).map(parts => parts.join('')),
  )
  .map(encode)

/** `data` as a key, each character spelled plainly or with an escape. */
const dataKey = fc.tuple(...[...'data'].map(spell)).map(parts => `"${parts.join('')}"`)

function spell(character: string): fc.Arbitrary<string> {
  const hex = character.charCodeAt(0).toString(16)
  return fc.constantFrom(character, character, `\\u00${hex}`, `\\u00${hex.toUpperCase()}`)
}

const otherKey = fc.oneof(
  stringText,
  fc.constantFrom(
    '"dat"',
    '"data "',
    '"Data"',
    '"datá"',
    '"dat\\u0062"',
    '"\\u0064"',
    '"\\\\data"',
    '"__proto__"',
  ),
)

type Built = { body: string; fields: string; data: string | null }

/** An item with or without `data`, and what a scanner makes of it. */
const item: fc.Arbitrary<Built> = fc
  .record({
    before: fc.array(fc.tuple(otherKey, valueText), { maxLength: 4 }),
    data: fc.option(fc.tuple(dataKey, valueText), { freq: 4 }),
    behind: fc.array(fc.tuple(otherKey, valueText), { maxLength: 4 }),
    spaces: fc.array(space, { minLength: 4, maxLength: 4 }),
  })
  .map(({ before, data, behind, spaces: [a, b, c, d] }) => {
    const write = (carried: string): string => {
      const middle: [string, string][] = data ? [[data[0], carried]] : []
      const members = [...before, ...middle, ...behind].map(
        ([key, value]) => `${a}${key}${b}:${c}${value}${d}`,
      )
      return `{${members.join(',')}}`
    }
    return { body: write(data?.[1] ?? ''), fields: write('null'), data: data?.[1] ?? null }
  })

const edit = fc.record({
  at: fc.nat(),
  how: fc.constantFrom('replace', 'insert', 'delete', 'flip'),
  byte: fc.oneof(
    fc.nat({ max: 255 }),
    fc.constantFrom(...encode('"\\{}[],:0-+.eEu \ntfn/')),
    fc.constantFrom(0x00, 0x1f, 0x7f, 0x80, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff),
  ),
})

const mutated = fc
  .tuple(
    fc.oneof(
      text,
      item.map(({ body }) => encode(body)),
    ),
    fc.array(edit, { minLength: 1, maxLength: 3 }),
  )
  .map(([original, edits]) => {
    const bytes = [...original]
    for (const { at, how, byte } of edits) {
      const index = at % (bytes.length + 1)
      if (how === 'insert') bytes.splice(index, 0, byte)
      else if (how === 'delete') bytes.splice(index, 1)
      else if (index < bytes.length)
        bytes[index] = how === 'replace' ? byte : bytes[index]! ^ (1 << (byte & 7))
    }
    return Uint8Array.from(bytes)
  })

function isExpected({ body, fields, data }: Built, actual: Item | undefined): void {
  expect(actual).toEqual({ type: 'object', data, fields, carried: data === null ? null : expect.any(String) })
  const whole = JSON.parse(body)
  expect(JSON.stringify(JSON.parse(actual!.fields!))).toBe(
    JSON.stringify(data === null ? whole : { ...whole, data: null }),
  )
}

describe('properties', () => {
  test('accepts what JSON.parse accepts', () => {
    fc.assert(
      fc.property(text, cuts, (body, numbers) => {
        expect(parse(body)).not.toBeNull()
        expect(accepts(body, { ...SINGLE, carry: 'no such key' }, numbers)).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  test('accepts a damaged text exactly when it is UTF-8 and JSON.parse accepts it', () => {
    fc.assert(
      fc.property(mutated, cuts, (body, numbers) => {
        expect(accepts(body, { ...SINGLE, carry: 'no such key' }, numbers)).toBe(parse(body) !== null)
      }),
      { numRuns: 3_000 },
    )
  })

  test('accepts a damaged batch exactly when it is a list besides', () => {
    fc.assert(
      fc.property(mutated, cuts, (body, numbers) => {
        const isList = Array.isArray(parse(body)?.value)
        expect(accepts(body, { ...BATCH, carry: 'no such key' }, numbers)).toBe(isList)
      }),
      { numRuns: 1_000 },
    )
  })

  test('any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6 }), bytes => {
        const body = Uint8Array.of(0x22, ...bytes, 0x22)
        expect(accepts(body, SINGLE)).toBe(parse(body) !== null)
      }),
      { numRuns: 3_000 },
    )
  })

  test('carries the span of data and collects the rest', () => {
    fc.assert(
      fc.property(item, space, space, cuts, (built, before, behind, numbers) => {
        const items = scan(`${before}${built.body}${behind}`, SINGLE, numbers)
        expect(items).toHaveLength(1)
        isExpected(built, items[0])
      }),
      { numRuns: 500 },
    )
  })

  test('the same of each item of a batch', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 5 }), space, cuts, (all, gap, numbers) => {
        const body = `${gap}[${gap}${all.map(({ body }) => body).join(`${gap},${gap}`)}${gap}]${gap}`
        const items = scan(body, BATCH, numbers)
        expect(items).toHaveLength(all.length)
        for (const [index, built] of all.entries()) isExpected(built, items[index])
      }),
      { numRuns: 300 },
    )
  })

  test('one byte at a time', () => {
    fc.assert(
      fc.property(item, built => {
        isExpected(built, scan(built.body, SINGLE, byteByByte(built.body))[0])
      }),
    )
  })

  test('the cuts change neither the items nor the error', () => {
    const tight = { carry: 'data', maxDepth: 4, maxFieldBytes: 40 }
    fc.assert(
      fc.property(mutated, cuts, fc.constantFrom(null, 2), (body, numbers, maxItems) => {
        const options = { ...tight, maxItems }
        expect(outcome(body, options, numbers)).toEqual(outcome(body, options))
      }),
      { numRuns: 2_000 },
    )
  })

  test('data twice is refused, however it is spelled', () => {
    fc.assert(
      fc.property(item, dataKey, valueText, cuts, (built, key, value, numbers) => {
        fc.pre(built.data !== null)
        const body = `${built.body.slice(0, -1)},${key}:${value}}`
        const offset = encode(built.body).length
        expect(outcome(encode(body), SINGLE, numbers)).toBe(
          `JsonSyntaxError: Duplicate key at byte ${offset}`,
        )
      }),
    )
  })
})

describe('grammar', () => {
  const good = [
    ...'0 -0 0.0 -0.5 1e5 1E5 1e+5 1e-05 0e0 123456789012345678901234567890 1e400 true false null'.split(' '),
    ...'"" "a" [] {} [[]] {"":0} {"a":1,"a":2} [1,"a",null,{"b":[true]}] "é" "漢" "😀"'.split(' '),
    ...'"\\ud800" "\\udc00\\ud800" "\\u0000" "\\"\\\\\\/\\b\\f\\n\\r\\t"'.split(' '),
    ...['"\u007f"', '"\u2028\u2029"', '"\ufeff"', '"\uffff"', '"\u{10ffff}"', ' \t\r\n1 \t\r\n'],
  ]
  const bad = [
    ...'- 01 -01 1. .5 +1 1e 1e+ 1.e5 0x1 1_0 00 --1 1.2.3 NaN Infinity -Infinity undefined'.split(' '),
    ...'True tru truee nul nulll fals tnull " "\\" "\\x" "\\u12" "\\u12g4" \'a\' "a'.split(' '),
    ...'[ ] [1 [1, [1,] [,1] [1} []] [:] ["a":1] [1], { } {"a" {"a": {"a":1 {"a":1,} {,} {a:1}'.split(' '),
    ...'{1:1} {"a"1} {"a":1] {"a"} {"a":1"b":2} {"a"::1} {"a":,} {null:1} {}{} /**/1 []//'.split(' '),
    ...[
      '',
      ' ',
      '1 2',
      '[1 2]',
      'true false',
      '{"a" 1}',
      '{"a":1 "b":2}',
      '"\n"',
      '"\t"',
      '"\u0000"',
      '"\u001f"',
    ],
    ...['\ufeff1', '\u00a01', '\v1', '\f1', '1\u0000', '\u2028 1', '[\u00a0]'],
  ]

  test.each(good)('takes %j', body => {
    expect(parse(encode(body))).not.toBeNull()
    expect(accepts(encode(body), SINGLE)).toBe(true)
    expect(accepts(encode(body), SINGLE, byteByByte(body))).toBe(true)
    // Deeper, where nobody watches, other tables are in force.
    expect(accepts(encode(`{"data":[[${body}],{"k":${body}}]}`), SINGLE)).toBe(true)
  })

  test.each(bad)('refuses %j', body => {
    expect(parse(encode(body))).toBeNull()
    expect(accepts(encode(body), SINGLE)).toBe(false)
    expect(accepts(encode(body), SINGLE, byteByByte(body))).toBe(false)
  })

  test.each(bad)('refuses %j inside data', body => {
    for (const around of [`{"data":[[${body}]]}`, `{"data":{"k":${body}}}`, `{"data":{"k":{"l":${body}}}}`])
      expect(accepts(encode(around), SINGLE)).toBe(parse(encode(around)) !== null)
  })

  const notUtf8 = [
    ...[
      '80',
      'bf',
      'c080',
      'c1bf',
      'c2',
      'c220',
      'e08080',
      'e09fbf',
      'eda080',
      'edbfbf',
      'e282',
      'e28228',
      'efbf',
    ],
    ...['f0808080', 'f08fbfbf', 'f4908080', 'f5808080', 'f09f98', 'f09f9828', 'fe', 'ff', 'f888808080'],
  ]

  test.each(notUtf8)('refuses the bytes %s in a string', hex => {
    const bytes = Uint8Array.of(0x22, ...Buffer.from(hex, 'hex'), 0x22)
    expect(parse(bytes)).toBeNull()
    expect(accepts(bytes, SINGLE)).toBe(false)
  })

  test('tells the place, and nothing of the text', () => {
    const message = (body: string): unknown => outcome(encode(body), SINGLE, [1, 4])
    expect(message('{"secret":tru3}')).toBe('JsonSyntaxError: Unexpected character at byte 13')
    expect(message('{"é":x}')).toBe('JsonSyntaxError: Unexpected character at byte 6')
    expect(message('{"a":1')).toBe('JsonSyntaxError: Unexpected end at byte 6')
    expect(message('')).toBe('JsonSyntaxError: Unexpected end at byte 0')
    expect(message('12 3')).toBe('JsonSyntaxError: Unexpected character at byte 3')
  })
})

describe('items', () => {
  test('default', () => {
    expect(scan('{"containers":["ocr"], "data": {"b":1, "1":[2]} ,"proof":false}')).toEqual([
      {
        type: 'object',
        data: '{"b":1, "1":[2]}',
        fields: '{"containers":["ocr"], "data": null ,"proof":false}',
        carried: 'object',
      },
    ])
  })

  test.each([
    ['{}', 'object'],
    ['[1]', 'array'],
    ['"s"', 'string'],
    ['-1', 'number'],
    ['0', 'number'],
    ['true', 'boolean'],
    ['false', 'boolean'],
    ['null', 'null'],
  ])('behavior: %s is of type %s, as a root, an element and data', (value, type) => {
    expect(scan(value)[0]).toMatchObject({ type, carried: null })
    expect(scan(`[${value}]`, BATCH)[0]).toMatchObject({ type, carried: null })
    expect(scan(`{"data":${value}}`)[0]).toMatchObject({ carried: type, data: value })
  })

  test('behavior: an item that is no object has no fields and carries nothing', () => {
    const none = { data: null, fields: null, carried: null }
    expect(scan('[{"data":1}]')).toEqual([{ type: 'array', ...none }])
    expect(scan('[[{"data":1}],"data",{"data":2}]', BATCH)).toEqual([
      { type: 'array', ...none },
      { type: 'string', ...none },
      { type: 'object', data: '2', fields: '{"data":null}', carried: 'number' },
    ])
  })

  test('behavior: only a key of the item itself is carried', () => {
    const body = '{"a":{"data":1},"b":[{"data":2}],"c":"data","data":{"data":{"data":3}}}'
    expect(scan(body)[0]).toMatchObject({
      data: '{"data":{"data":3}}',
      fields: '{"a":{"data":1},"b":[{"data":2}],"c":"data","data":null}',
    })
  })

  test('behavior: data may be in each item of a batch, and need not be', () => {
    expect(scan('[{"data":1},{},{"data":[]}]', BATCH).map(({ data }) => data)).toEqual(['1', null, '[]'])
  })

  test('behavior: an empty batch has no items', () => {
    expect(scan(' [ ] ', BATCH)).toEqual([])
  })

  test('behavior: a batch is a list', () => {
    for (const body of ['{"a":1}', '"a"', '1', 'null', ' {'])
      expect(() => scan(body, BATCH)).toThrow(new JsonShapeError())
    expect(() => scan('x', BATCH)).toThrow(JsonSyntaxError)
    expect(() => scan('', BATCH)).toThrow(JsonSyntaxError)
  })

  test('behavior: data is a view of the chunk, passed on at once', () => {
    const scanner = createScanner(SINGLE)
    const chunk = encode('{"data":"abc')
    const events: ScanEvent[] = []
    scanner.push(chunk, event => events.push(event))
    expect(events).toEqual([
      { kind: 'item', type: 'object' },
      { kind: 'data', bytes: encode('"abc') },
    ])
    expect(events[1]).toHaveProperty('bytes.buffer', chunk.buffer)
  })

  test("behavior: fields are the receiver's to keep", () => {
    const scanner = createScanner(BATCH)
    const kept: (Uint8Array | null)[] = []
    scanner.push(encode('[{"a":1},{"b":2}]'), event => event.kind === 'end' && kept.push(event.fields))
    expect(kept).toEqual([encode('{"a":1}'), encode('{"b":2}')])
  })

  test('behavior: a scanner that has thrown or ended takes nothing more', () => {
    const ignore = (): void => {}
    const broken = createScanner(SINGLE)
    expect(() => broken.push(encode('x'), ignore)).toThrow(JsonSyntaxError)
    expect(() => broken.push(encode('1'), ignore)).toThrow('has ended or has thrown')
    expect(() => broken.end(ignore)).toThrow('has ended or has thrown')

    const interrupted = createScanner(SINGLE)
    const interrupt = (): never => {
      throw new Error('disk full')
    }
    expect(() => interrupted.push(encode('{'), interrupt)).toThrow('disk full')
    expect(() => interrupted.push(encode('}'), ignore)).toThrow('has ended or has thrown')

    const ended = createScanner(SINGLE)
    ended.push(encode('1'), ignore)
    ended.end(ignore)
    expect(() => ended.push(encode(' '), ignore)).toThrow('has ended or has thrown')
  })
})

describe('limits', () => {
  const limitOf = (body: string, options: Partial<ScanOptions>, numbers?: number[]): unknown => {
    try {
      scan(body, { ...SINGLE, ...options }, numbers)
      return null
    } catch (error) {
      if (error instanceof JsonLimitError) return error.limit
      throw error
    }
  }
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
  const nestedObjects = (depth: number): string => `${'{"k":'.repeat(depth)}0${'}'.repeat(depth)}`

  test('depth', () => {
    for (const nest of [nested, nestedObjects]) {
      expect(limitOf(nest(512), { maxDepth: 512 })).toBeNull()
      expect(limitOf(nest(513), { maxDepth: 512 })).toBe('depth')
      expect(limitOf(`{"data":${nest(511)}}`, { maxDepth: 512 })).toBeNull()
      expect(limitOf(`{"data":${nest(512)}}`, { maxDepth: 512 })).toBe('depth')
    }
    expect(limitOf('[[],[[]],{},[{}]]', { maxDepth: 3 })).toBeNull()
    expect(limitOf(nested(512), { maxDepth: 512, maxItems: 1 })).toBeNull()
    expect(limitOf(nested(513), { maxDepth: 512, maxItems: 1 })).toBe('depth')
    expect(limitOf('1', { maxDepth: 0 })).toBeNull()
  })

  test('items', () => {
    const list = (count: number): string => `[${Array(count).fill('{"data":1}').join(',')}]`
    expect(limitOf(list(100), { maxItems: 100 })).toBeNull()
    expect(limitOf(list(101), { maxItems: 100 })).toBe('items')
    expect(limitOf('[]', { maxItems: 0 })).toBeNull()
    expect(limitOf(list(1), { maxItems: 0 })).toBe('items')
  })

  test('fields, with null for data and with whitespace', () => {
    const body = `{"a": 1,"data":"${'x'.repeat(1_000)}"}`
    const size = '{"a": 1,"data":null}'.length
    for (const numbers of [[], byteByByte(body)]) {
      expect(limitOf(body, { maxFieldBytes: size }, numbers)).toBeNull()
      expect(limitOf(body, { maxFieldBytes: size - 1 }, numbers)).toBe('fields')
    }
  })

  test('fields, by item', () => {
    const body = `[${Array(50).fill('{"a":1}').join(', ')}]`
    expect(limitOf(body, { maxItems: 50, maxFieldBytes: 7 })).toBeNull()
    expect(limitOf(body, { maxItems: 50, maxFieldBytes: 6 })).toBe('fields')
  })

  test('fields of any size up to the limit are kept whole', () => {
    const body = `{"a":"${'é'.repeat(30_000)}","data":1,"b":"${'y'.repeat(30_000)}"}`
    expect(scan(body, SINGLE, [1, 70, 5_000, 61_000])[0]?.fields).toBe(
      body.replace('"data":1', '"data":null'),
    )
  })

  test('a long key or a long value counts before it is complete', () => {
    for (const start of [`{"${'k'.repeat(100)}`, `{"k":"${'v'.repeat(100)}`, `{${' '.repeat(100)}`])
      expect(limitOf(start, { maxFieldBytes: 64 })).toBe('fields')
  })

  test('an item that is no object counts for nothing', () => {
    expect(limitOf(`["${'x'.repeat(1_000)}"]`, { maxItems: 1, maxFieldBytes: 10 })).toBeNull()
  })
})

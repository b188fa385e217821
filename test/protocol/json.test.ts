import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Json, jsonText, parseJson, plain } from '../../src/protocol/json.ts'
import { objectText } from '../support/json-text.ts'

const digits = '115792089237316195423570985008687907853269984665640564039457584007913129639935'

describe('parseJson', () => {
  test('default: whole numbers keep every digit, others their text', () => {
    expect(parseJson(`{"b":${digits},"a":[1.0,-7,1e400,"1"]}`)).toEqual(
      new Map<string, Json>([
        ['b', BigInt(digits)],
        ['a', [{ float: '1.0' }, -7n, { float: '1e400' }, '1']],
      ]),
    )
  })

  test('behavior: what was written is read back as it was', () => {
    const { json } = fc.letrec<{ json: Json; text: string }>(tie => ({
      text: fc.string({ unit: 'binary' }),
      json: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, false),
        fc.bigInt(),
        fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
        fc.double({ noNaN: true, noDefaultInfinity: true }).map(value => ({ float: value.toExponential() })),
        tie('text'),
        fc.array(tie('json'), { maxLength: 4 }),
        fc
          .array(fc.tuple(fc.oneof(tie('text'), fc.constantFrom('1', '__proto__')), tie('json')), {
            maxLength: 4,
          })
          .map(entries => new Map(entries)),
      ),
    }))
    fc.assert(
      fc.property(json, value => {
        expect(parseJson(jsonText(value))).toEqual(value)
      }),
    )
  })

  test('behavior: it reads what JSON.parse reads, and refuses what it refuses', () => {
    // Once V8 has read a key that ends in a backslash, it may read that key for another one (nodejs/node, issue 63785).
    const judged = fc.oneof(fc.json(), objectText).filter(text => !/(\\\\|\\u005c)"\s*:/i.test(text))
    fc.assert(
      fc.property(judged, text => {
        expect(JSON.parse(jsonText(parseJson(text)), unsigned)).toEqual(JSON.parse(text, unsigned))
      }),
    )
    const broken = fc
      .tuple(objectText, fc.nat(), fc.constantFrom('', ',', '0', '"', '}', '\\', '\n', '-', '.'))
      .map(([text, at, put]) => text.slice(0, at % text.length) + put + text.slice((at % text.length) + 1))
    fc.assert(
      fc.property(broken, text => {
        expect(isRead(parseJson, text)).toBe(isRead(JSON.parse, text))
      }),
    )
  })

  test('behavior: what is no JSON is a SyntaxError, and so is what is too deep', () => {
    const bad = [
      ...['', '{', '[1,]', '{"a"}', '{"a":1,}', '"', '"\\"', '01', '-', '1.', 'nul', '1 2', '{1:2}', '"\n"'],
      '['.repeat(600) + ']'.repeat(600),
      '['.repeat(1e6),
    ]
    for (const text of bad) expect(() => parseJson(text)).toThrow(SyntaxError)
  })
})

/** A whole number has no negative zero, nor has Python's. */
function unsigned(_key: string, value: unknown): unknown {
  return value === 0 ? 0 : value
}

function isRead(read: (text: string) => unknown, text: string): boolean {
  try {
    read(text)
    return true
  } catch (error) {
    if (error instanceof SyntaxError) return false
    throw error
  }
}

describe('plain', () => {
  test('default: objects of objects, whole numbers as bigint', () => {
    expect(plain(parseJson(`{"a":[{"b":${digits}},1.5,null],"c":"x"}`))).toEqual({
      a: [{ b: BigInt(digits) }, { float: '1.5' }, null],
      c: 'x',
    })
  })

  test('behavior: no key of a text is a prototype', () => {
    const object = plain(parseJson('{"__proto__":{"owner":1}}')) as object
    expect(Object.keys(object)).toEqual(['__proto__'])
    expect('owner' in object).toBe(false)
  })
})

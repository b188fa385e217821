import * as fc from 'fast-check'

/** JSON texts, made as texts, for all that says that bytes are carried and not made again. */

/** What may stand between any two tokens. */
export const space = fc.constantFrom('', '', ' ', '\n\t', '\r\n  ')
const character = fc.constantFrom(
  ...['a', 'é', '日', '🦜', '\u2028', '\u007f', '\ufeff', '\uffff'],
  ...['\\n', '\\"', '\\\\', '\\/', '\\u00e9', '\\u0000', '\\uD83E\\uDD9C', '\\ud800', '\\u2028'],
)
const string = fc.oneof(
  fc.array(character, { maxLength: 6 }).map(parts => `"${parts.join('')}"`),
  fc.string({ unit: 'binary' }).map(text => JSON.stringify(text)),
)
const number = fc.oneof(
  fc.constantFrom(
    ...[
      '0',
      '-0',
      '1.0',
      '1e400',
      '-1E-7',
      '9007199254740993',
      '1.10',
      '0.1e+1',
      '123456789.1234567890123456789',
    ],
    '115792089237316195423570985008687907853269984665640564039457584007913129639935',
  ),
  fc.stringMatching(/^-?(0|[1-9]\d{0,40})(\.\d{1,40})?([eE][+-]?\d{1,6})?$/),
)
// Integer-like, repeated and magic keys: what parsing would reorder, drop or swallow.
const key = fc.oneof(fc.constantFrom('"2"', '"1"', '"a"', '"data"', '"__proto__"', '""'), string)

export const { value: valueText } = fc.letrec<{ value: string; array: string; object: string }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    number,
    string,
    fc.constantFrom('true', 'false', 'null', '[]', '{}', '[ ]', '{\n}'),
    tie('array'),
    tie('object'),
  ),
  array: fc
    .tuple(space, fc.array(tie('value'), { maxLength: 4 }), space)
    .map(([a, items, b]) => `[${a}${items.join(`${b},${a}`)}]`),
  object: members(tie('value')),
}))

function members(of: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(space, fc.array(fc.tuple(key, of), { maxLength: 4 }), space)
    .map(
      ([a, entries, b]) =>
        `{${a}${entries.map(([name, entry]) => `${name}${b}:${a}${entry}`).join(`${b},${a}`)}${b}}`,
    )
}

/** JSON text of an object of any kind that a parser and a printer would not give back as it was. */
export const objectText = members(valueText)

/** An object text of about this many bytes. */
export const sized = (text: string, size: number) => {
  const filler = '"\\u0041é🦜 ", 1.0,\n'
  const items = filler.repeat(Math.ceil(size / Buffer.byteLength(filler)))
  return `{"first": ${text}, "rest": [${items}null]}`
}

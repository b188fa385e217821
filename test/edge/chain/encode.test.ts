import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { decodeAbiParameters, encodeAbiParameters, type Hex } from 'viem'
import { describe, expect, test } from 'vitest'
import { encodeAnswer } from '../../../src/edge/chain/encode.ts'
import { pythonText } from '../../../src/edge/chain/python.ts'
import { parseJson } from '../../../src/protocol/json.ts'

const options = { stringOutput: 'json', maxBytes: 4096, requiresProof: false } as const
const encode = (output: unknown, more: Partial<Parameters<typeof encodeAnswer>[1]> = {}) =>
  encodeAnswer(parseJson(typeof output === 'string' ? output : JSON.stringify(output)), {
    ...options,
    ...more,
  })
const pair = (first: Hex, second: Hex) =>
  encodeAbiParameters([{ type: 'bytes' }, { type: 'bytes' }], [first, second])
const fiveKeys = {
  raw_input: '',
  processed_input: null,
  raw_output: '0xAB01',
  processed_output: 'cd',
  proof: '0x0102',
}

function stringOf(output: unknown, stringOutput: 'json' | 'python' = 'json'): string {
  const encoded = encode(output, { stringOutput })
  if ('problem' in encoded) throw new Error(encoded.message)
  expect(encoded).toMatchObject({ input: '0x', proof: '0x' })
  return decodeAbiParameters([{ type: 'string' }], encoded.output)[0]
}

describe('encodeAnswer', () => {
  test('default: five keys in hex are two pairs of bytes and a proof', () => {
    expect(encode(fiveKeys)).toEqual({
      input: pair('0x', '0x'),
      output: pair('0xab01', '0xcd'),
      proof: '0x0102',
    })
    expect(encode({ ...fiveKeys, code: '200', more: 1 })).toEqual(encode(fiveKeys))
  })

  test('default: all else is a string of its JSON', () => {
    expect(stringOf({ output: 'hello', list: [1, true, null] })).toBe(
      '{"output":"hello","list":[1,true,null]}',
    )
    expect(stringOf('[1.0,  12345678901234567890, 1e400]')).toBe('[1.0,12345678901234567890,1e400]')
    for (const value of ['"text"', 'null', '7', 'true', '[]', '{}']) expect(stringOf(value)).toBe(value)
    const { proof: _, ...four } = fiveKeys
    expect(JSON.parse(stringOf(four))).toEqual(four)
  })

  test('behavior: keys keep their order, also those like numbers, and twice is the last', () => {
    expect(stringOf('{"b":1,"1":2,"a":{"2":0,"1":0},"b":3}')).toBe('{"b":3,"1":2,"a":{"2":0,"1":0}}')
  })

  test('behavior: a code other than 200 says that the container failed', () => {
    for (const code of ['400', 500, null, '', '2000', 200.5, [200]])
      expect(encode({ code, output: 1 })).toMatchObject({ problem: 'container_errored' })
    for (const code of ['200', 200]) expect(encode({ code, output: 1 })).not.toHaveProperty('problem')
  })

  test('behavior: hex that is none is a problem with a name, whichever key has it', () => {
    for (const key of Object.keys(fiveKeys)) {
      for (const value of ['abc', 'zz', '0x0', ' ab', 'a b0', 7, true, [], {}]) {
        const answer = encode({ ...fiveKeys, [key]: value })
        expect(answer).toEqual({ problem: 'invalid_output', message: expect.stringContaining(key) })
      }
    }
  })

  test('behavior: where a proof is required, an answer without one is a problem with a name', () => {
    for (const output of [
      { ...fiveKeys, proof: '' },
      { ...fiveKeys, proof: null },
      { ...fiveKeys, proof: '0x' },
      '"x"',
    ])
      expect(encode(output, { requiresProof: true })).toMatchObject({ problem: 'missing_proof' })
    expect(encode(fiveKeys, { requiresProof: true })).toEqual(encode(fiveKeys))
    expect(encode({ code: 500 }, { requiresProof: true })).toMatchObject({ problem: 'container_errored' })
  })

  test('behavior: what is too large in all is refused', () => {
    const bytes = (count: number) => 'ab'.repeat(count)
    // Two pairs take five words each beside their bytes.
    expect(encode({ ...fiveKeys, proof: bytes(2000) }, { maxBytes: 2000 + 128 + 192 })).toHaveProperty(
      'output',
    )
    expect(encode({ ...fiveKeys, proof: bytes(2001) }, { maxBytes: 2000 + 128 + 192 })).toEqual({
      problem: 'output_too_large',
      message: 'The answer is 2321 bytes; 2320 are the most.',
    })
    expect(encode({ text: bytes(2048) })).toMatchObject({ problem: 'output_too_large' })
  })
})

const hasPython = spawnSync('python3', ['-c', '']).status === 0

/** What Python makes of JSON texts. They travel in ASCII, since a lone surrogate cannot be written otherwise. */
function strOf(texts: readonly string[]): string[] {
  const program =
    'import json, sys\nprint(json.dumps([str(json.loads(text)) for text in json.load(sys.stdin)]))'
  const ascii = JSON.stringify(texts).replace(
    /[\u0080-\uffff]/g,
    unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  const { stdout, stderr, status } = spawnSync('python3', ['-c', program], {
    input: ascii,
    encoding: 'utf8',
    maxBuffer: 1e8,
  })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as string[]
}

/** Characters that every Unicode of the last years agrees about: a newer one may know more letters than Python's. */
const character = fc.oneof(
  fc.constantFrom(
    "'",
    '"',
    '\\',
    '\n',
    '\r',
    '\t',
    '\0',
    '\x7f',
    '\xa0',
    '\xad',
    '\u2028',
    '\u3000',
    '\ue000',
    '\ud800',
    '\u{1f600}',
    '\u{e0001}',
    '\u{10ffff}',
  ),
  fc.integer({ min: 0, max: 0x24f }).map(code => String.fromCodePoint(code)),
)
const string = fc.array(character, { maxLength: 12 }).map(characters => characters.join(''))
const numeral = fc.oneof(
  fc.double().filter(Number.isFinite).map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(value => value.toExponential().replace('e+', 'E')),
  fc.bigInt().map(String),
  fc.constantFrom(
    '-0',
    '-0.0',
    '1.0',
    '1e16',
    '1e15',
    '123456789012345678.0',
    '0.0001',
    '0.00001',
    '1e22',
    '1e-7',
    '5e-324',
    '1e400',
    '-1e400',
    '1.5E+300',
  ),
)
const { value } = fc.letrec<{ value: string; leaf: string }>(tie => ({
  leaf: fc.oneof(
    string.map(text => JSON.stringify(text)),
    numeral,
    fc.constantFrom('true', 'false', 'null'),
  ),
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 4 }).map(items => `[${items.join(',')}]`),
    fc
      .array(fc.tuple(string, tie('value')), { maxLength: 4 })
      .map(items => `{${items.map(([key, item]) => `${JSON.stringify(key)}:${item}`).join(',')}}`),
  ),
}))

describe('pythonText', () => {
  test('default: as the reference node tells it', () => {
    expect(stringOf('{"output":"it\'s","ok":true,"none":null,"n":[1,2.50,1e100]}', 'python')).toBe(
      `{'output': "it's", 'ok': True, 'none': None, 'n': [1, 2.5, 1e+100]}`,
    )
  })

  test.skipIf(!hasPython)('behavior: the same as Python', () => {
    const texts = fc.sample(value, { numRuns: 3000 })
    expect(texts.map(text => pythonText(parseJson(text)))).toEqual(strOf(texts))
  })
})

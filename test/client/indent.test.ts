import { expect, test } from 'vitest'
import { indent, toLine } from '../../src/client/command/indent.ts'
import { joinFlagValue, repeated } from '../../src/client/command/options.ts'

test('default: JSON is laid out as with an indent of two', () => {
  for (const value of [
    {},
    [],
    [[]],
    [{}],
    'a',
    '{"x":[1,2]}\\"',
    { a: [1, { b: [] }], c: { d: 'e, f: [g]' } },
  ]) {
    expect(indent(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2))
    expect(indent(JSON.stringify(value, null, 7))).toBe(JSON.stringify(value, null, 2))
  }
})

test('behavior: numbers, repeated keys and the order of keys stay', () => {
  expect(indent('{"b":1.0,"1":9007199254740993,"b":1e400}')).toBe(
    '{\n  "b": 1.0,\n  "1": 9007199254740993,\n  "b": 1e400\n}',
  )
})

test('behavior: a string alone is printed raw', () => {
  expect(toLine(' "caf\\u00e9" ')).toBe('café')
  expect(toLine('["x"]')).toBe('[\n  "x"\n]')
})

test('behavior: a flag may be followed by a value', () => {
  const join = (...args: string[]) => joinFlagValue(args, '--proof')
  expect(join('--proof', 'True', '-c', 'x')).toEqual(['--proof=true', '-c', 'x'])
  expect(join('--proof=no', '0')).toEqual(['--proof=false', '0'])
  expect(join('--proof', '--sync')).toEqual(['--proof', '--sync'])
  expect(join('yes', '--proof')).toEqual(['yes', '--proof'])
})

test('behavior: an option may be repeated', () => {
  expect(repeated(['--id', 'a', '--x', '--id=b', '-o', 'f'], 'id')).toEqual(['a', 'b'])
})

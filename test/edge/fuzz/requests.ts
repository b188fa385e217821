import * as fc from 'fast-check'
import type { Operation, Schema } from './document.ts'
import { bodyOf, type Pool } from './values.ts'
import type { WireRequest } from './wire.ts'

/** A step of a path, or a value of a query. */
export const hostileSegment = fc.oneof(
  fc.constantFrom(
    ...[
      '%00',
      '.',
      '..',
      '%2e%2e',
      '%2F',
      '%',
      '%zz',
      '%ff',
      '%ED%A0%80',
      '%F0%9F%A6%9C',
      '*',
      '~',
      "'",
      '%22',
      ';x',
      '%0d%0a',
    ],
    ...['-1', '0', '1', '255', '256', '9999', '1e3', 'batch', 'stream', 'x'.repeat(4_000)],
  ),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).map(encodeLoosely),
)

/** Halves of surrogate pairs have no encoding: they go as the replacement that a browser sends. */
function encodeLoosely(value: string): string {
  return encodeURIComponent(value.toWellFormed())
}

function segmentOf(schema: Schema | undefined, pool: Pool): fc.Arbitrary<string> {
  const fitting = schema?.pattern ? [fc.stringMatching(new RegExp(schema.pattern)).map(encodeLoosely)] : []
  return fc.oneof(fc.constantFrom(...pool.uuids, ...pool.pathIds), hostileSegment, ...fitting)
}

// Waits that are hostile, none that is long.
const waits = ['0', '0.01', '-1', '26', '1e1', 'NaN', '', '0x1', '9'.repeat(400), ' 0', '0.01,5']

function queryOf({ name, schema = {} }: Operation['parameters'][number], pool: Pool): fc.Arbitrary<string> {
  if (name === 'wait') return fc.constantFrom(...waits).map(encodeLoosely)
  const fitting = schema.enum
    ? [fc.constantFrom(...schema.enum.map(String))]
    : schema.pattern
      ? [fc.stringMatching(new RegExp(schema.pattern)).map(encodeLoosely)]
      : []
  return fc.oneof(hostileSegment, fc.constantFrom(...pool.uuids, 'true', '1'), ...fitting)
}

export function targetOf(operation: Operation, pool: Pool): fc.Arbitrary<string> {
  const inPath = operation.parameters.filter(parameter => parameter.in === 'path')
  const inQuery = operation.parameters.filter(parameter => parameter.in === 'query')
  const segments = fc.tuple(...inPath.map(({ schema }) => segmentOf(schema, pool)))
  const known = inQuery.map(parameter =>
    fc
      .array(queryOf(parameter, pool), { maxLength: 2 })
      .map(values => values.map(value => `${parameter.name}=${value}`)),
  )
  const junk = fc.array(
    fc.tuple(hostileSegment, hostileSegment).map(([key, value]) => `${key}=${value}`),
    { maxLength: 1 },
  )
  return fc.tuple(segments, fc.tuple(...known), junk).map(([values, pairs, rest]) => {
    let path = operation.path
    for (const [index, { name }] of inPath.entries())
      path = path.replace(`{${name}}`, () => values[index] ?? '')
    const query = [...pairs.flat(), ...rest].join('&')
    return query === '' ? path : `${path}?${query}`
  })
}

// Bytes that a header may carry: no line ends, no NUL.
const headerByte = fc
  .integer({ min: 0x20, max: 0xff })
  .filter(byte => byte !== 0x7f)
  .map(byte => String.fromCharCode(byte))
const hostileHeader = fc.oneof(
  fc.string({ unit: headerByte, maxLength: 40 }),
  fc.constantFrom('', ',', 'null', '\u00ff', 'x'.repeat(8_000), '__proto__', '1, 2', '"', '\t'),
)

type Header = readonly [string, string]
const header = (name: string, value: fc.Arbitrary<string>): fc.Arbitrary<Header[]> =>
  fc.option(value, { freq: 2 }).map(given => (given === null ? [] : [[name, given] as const]))

export const garbageToken = fc.oneof(
  hostileHeader,
  fc.constantFrom(
    'Bearer',
    'Bearer ',
    'bearer x',
    'Basic eDp4',
    'Bearer a.b.c',
    'Bearer eyJhbGciOiJub25lIn0.e30.',
    `Bearer ${'x'.repeat(4_000)}`,
  ),
)

/** Headers beside `authorization`. */
export function headersOf(pool: Pool): fc.Arbitrary<Header[]> {
  return fc
    .tuple(
      header(
        'content-type',
        fc.oneof(
          { weight: 6, arbitrary: fc.constant('application/json') },
          {
            weight: 2,
            arbitrary: fc.constantFrom(
              'text/plain',
              'application/x-www-form-urlencoded',
              'multipart/form-data; boundary=x',
              'application/json; charset=utf-16',
              'application/vnd.x+json',
            ),
          },
          { weight: 1, arbitrary: hostileHeader },
        ),
      ),
      header(
        'prefer',
        fc.oneof(
          fc.constantFrom(
            'wait=0',
            'wait=x',
            'wait',
            'respond-async, wait=0',
            'wait=0; wait=0',
            `${' '.repeat(4_000)}wait=0`,
          ),
          hostileHeader,
        ),
      ),
      header('idempotency-key', fc.oneof(fc.constantFrom('key', 'x'.repeat(256)), hostileHeader)),
      header(
        'cf-connecting-ip',
        fc.oneof(
          { weight: 4, arbitrary: fc.constantFrom(...pool.addresses) },
          { weight: 1, arbitrary: fc.ipV6() },
          { weight: 2, arbitrary: hostileHeader },
        ),
      ),
      header('content-encoding', fc.constantFrom('gzip', 'br', 'identity', 'x')),
      header('accept', hostileHeader),
      header('x-forwarded-for', hostileHeader),
    )
    .map(headers => headers.flat())
}

export type Draft = Omit<WireRequest, 'headers'> & { headers: Header[] }

/** A request for a route, right or wrong in any of its parts; `authorization`: what it says of itself. */
export function requestFor(
  operation: Operation,
  pool: Pool,
  authorization: fc.Arbitrary<string | null>,
): fc.Arbitrary<Draft> {
  return fc
    .record({
      target: targetOf(operation, pool),
      headers: headersOf(pool),
      body: bodyOf(operation.body, pool),
      framing: fc.constantFrom('length', 'length', 'chunked'),
      authorization,
    })
    .map(({ authorization: told, headers, ...rest }) => ({
      method: operation.method,
      ...rest,
      headers: told === null ? headers : [...headers, ['authorization', told] as const],
    }))
}

import * as fc from 'fast-check'
import type { Operation, Parameter } from './document.ts'
import { hostileBody, type Pool, rightBody } from './values.ts'
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

// Waits that are hostile, none that is long.
const waits = ['0', '0.01', '-1', '26', '1e1', 'NaN', '', '0x1', '9'.repeat(400), ' 0', '0.01,5']

/** A value that a parameter allows, and that may even mean something. */
function rightValue({ name, schema = {} }: Parameter, pool: Pool): fc.Arbitrary<string> {
  if (name === 'wait') return fc.constant('0.01')
  if (schema.enum) return fc.constantFrom(...schema.enum.map(String))
  if (schema.format === 'uuid') return fc.oneof(fc.constantFrom(...pool.uuids), fc.uuid())
  if (schema.pattern === undefined)
    return fc.oneof(fc.constantFrom(...pool.pathIds), fc.constantFrom(...pool.uuids, 'true', 'false'))
  const pattern = new RegExp(schema.pattern)
  const small = ['0', '1', '2'].filter(text => pattern.test(text))
  const any = fc.stringMatching(pattern).map(encodeLoosely)
  return small.length > 0
    ? fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...small) }, { weight: 1, arbitrary: any })
    : any
}

function hostileValue(parameter: Parameter, pool: Pool): fc.Arbitrary<string> {
  if (parameter.name === 'wait') return fc.constantFrom(...waits).map(encodeLoosely)
  return fc.oneof(hostileSegment, rightValue(parameter, pool))
}

function targetOf(
  { path, parameters }: Operation,
  value: (parameter: Parameter) => fc.Arbitrary<string>,
  query: fc.Arbitrary<string[]>,
): fc.Arbitrary<string> {
  const inPath = parameters.filter(parameter => parameter.in === 'path')
  return fc.tuple(fc.tuple(...inPath.map(value)), query).map(([values, pairs]) => {
    let target = path
    for (const [index, { name }] of inPath.entries())
      target = target.replace(`{${name}}`, () => values[index] ?? '')
    return pairs.length === 0 ? target : `${target}?${pairs.join('&')}`
  })
}

function inQuery({ parameters }: Operation): Parameter[] {
  return parameters.filter(parameter => parameter.in === 'query')
}

function rightTarget(operation: Operation, pool: Pool): fc.Arbitrary<string> {
  const pairs = inQuery(operation).map(parameter => {
    const pair = rightValue(parameter, pool).map(value => [`${parameter.name}=${value}`])
    return parameter.required ? pair : fc.oneof(pair, fc.constant([]))
  })
  const query = fc.tuple(...pairs).map(given => given.flat())
  return targetOf(operation, parameter => rightValue(parameter, pool), query)
}

function hostileTarget(operation: Operation, pool: Pool): fc.Arbitrary<string> {
  const pairs = inQuery(operation).map(parameter =>
    fc
      .array(hostileValue(parameter, pool), { maxLength: 2 })
      .map(values => values.map(value => `${parameter.name}=${value}`)),
  )
  const junk = fc.tuple(hostileSegment, hostileSegment).map(([key, value]) => `${key}=${value}`)
  const query = fc
    .tuple(fc.tuple(...pairs), fc.array(junk, { maxLength: 1 }))
    .map(([known, rest]) => [...known.flat(), ...rest])
  return targetOf(operation, parameter => hostileValue(parameter, pool), query)
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

function rightHeaders({ addresses }: Pool): fc.Arbitrary<Header[]> {
  const usual: Header[] = [
    ['content-type', 'application/json'],
    ['cf-connecting-ip', addresses[0] ?? ''],
  ]
  return header('idempotency-key', fc.uuid()).map(key => [...usual, ...key])
}

/** Headers beside `authorization`. */
export function hostileHeaders(pool: Pool): fc.Arbitrary<Header[]> {
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

/** A request for a route, right or hostile in each of its parts; `authorization`: what it says of itself. */
export function requestFor(
  operation: Operation,
  pool: Pool,
  authorization: fc.Arbitrary<string | null>,
): fc.Arbitrary<Draft> {
  // Of requests that are wrong in everything none gets past the first check.
  const mostly = <T>(right: fc.Arbitrary<T>, hostile: fc.Arbitrary<T>) =>
    fc.oneof({ weight: 3, arbitrary: right }, { weight: 2, arbitrary: hostile })
  return fc
    .record({
      target: mostly(rightTarget(operation, pool), hostileTarget(operation, pool)),
      headers: mostly(rightHeaders(pool), hostileHeaders(pool)),
      body: mostly(rightBody(operation.body, pool), hostileBody(operation.body, pool)),
      framing: fc.constantFrom('length' as const, 'length' as const, 'chunked' as const),
      authorization,
    })
    .map(({ authorization: told, headers, ...rest }) => ({
      method: operation.method,
      ...rest,
      headers: told === null ? headers : [...headers, ['authorization', told] as const],
    }))
}

import { Hono } from 'hono'
import * as v from 'valibot'
import { LedgerPage } from '../../protocol/ledger.ts'
import {
  type LedgerQuestion,
  type Placed,
  readLedgerDays,
  readLedgerEntries,
  toDate,
  toDay,
} from '../chain/ledger/read.ts'
import type { Context as App } from '../context.ts'
import { askedChain, chainId, whole } from './asked-chain.ts'
import { adminAuth } from './auth.ts'
import { described } from './describe.ts'
import { refuse } from './refuse.ts'
import { valid } from './validate.ts'

const maxPage = 1_000
/** The longest time that one request asks for. */
const maxDays = 366
const shownDays = 31
const dayMs = 86_400_000

const date = v.pipe(
  v.string(),
  v.check(text => toDay(text) !== null, 'must be a day, such as 2026-01-31'),
  v.transform(text => toDay(text) ?? 0),
)
const address = v.pipe(
  v.string(),
  v.regex(/^0x[0-9a-fA-F]{40}$/, 'must be an address'),
  v.transform(text => text.toLowerCase()),
)

const Query = v.object({
  chain: v.optional(chainId),
  by: v.optional(v.picklist(['day', 'entry'], 'must be "day" or "entry"'), 'day'),
  from: v.optional(date),
  to: v.optional(date),
  consumer: v.optional(address),
  token: v.optional(address),
  format: v.optional(v.picklist(['json', 'csv'], 'must be "json" or "csv"')),
  after: v.optional(v.pipe(v.string(), v.maxLength(300))),
  limit: v.optional(v.pipe(whole(4), v.minValue(1), v.maxValue(maxPage)), '100'),
})

/** The node's books, for its operator. */
export function ledgerRoutes(app: App): Hono {
  const routes = new Hono()

  routes.get(
    '/api/ledger',
    adminAuth(app.config.ADMIN_TOKEN),
    described({
      summary: 'What was earned and spent on a chain',
      tag: 'Admin',
      description:
        'Sums of each day, consumer and token, or every entry; the oldest first. As CSV with `format=csv` or `Accept: text/csv`, where the next page is in the header `Link`.',
      parameters: [
        { name: 'chain', in: 'query', description: 'Chain id; the only chain when there is one.' },
        { name: 'by', in: 'query', description: '`day`, the default, or `entry`.' },
        {
          name: 'from',
          in: 'query',
          description: `First day, such as 2026-01-31; ${shownDays} days before the last one otherwise.`,
        },
        { name: 'to', in: 'query', description: 'Last day; today otherwise.' },
        { name: 'consumer', in: 'query', description: 'Only of this one.' },
        { name: 'token', in: 'query', description: 'Only in this one; the zero address is ETH.' },
        { name: 'format', in: 'query', description: '`json` or `csv`.' },
        { name: 'after', in: 'query', description: '`next` of the page before.' },
        { name: 'limit', in: 'query', description: `1 to ${maxPage}; 100 is the default.` },
      ],
      answer: { description: 'A page.', schema: LedgerPage },
      refusals: ['unauthorized', 'invalid_request', 'chain_not_enabled'],
      secured: 'admin',
    }),
    valid('query', Query),
    async c => {
      const query = c.req.valid('query')
      const chain = askedChain(app, query.chain)
      if (typeof chain !== 'number') return refuse(c, chain)
      const to = query.to ?? Math.floor(app.now() / dayMs)
      const from = query.from ?? to - (shownDays - 1)
      const after = placeOf(query.after, query.by)
      const problem = problemOf({ from, to, after })
      if (problem !== null) return refuse(c, { code: 'invalid_request', error: `Invalid query: ${problem}` })
      const question: LedgerQuestion = {
        chain,
        from,
        to,
        consumer: query.consumer ?? null,
        token: query.token ?? null,
        after: after === 'wrong' ? null : after,
        limit: query.limit + 1,
      }
      const found: Placed<LedgerPage['rows'][number]>[] =
        query.by === 'day'
          ? await readLedgerDays(app.db, question)
          : await readLedgerEntries(app.db, question)
      const page = found.slice(0, query.limit)
      const next = found.length > query.limit ? JSON.stringify(page.at(-1)?.place) : null
      const rows = page.map(({ row }) => row)
      const wantsCsv = query.format === 'csv' || (!query.format && prefersCsv(c.req.header('accept')))
      if (!wantsCsv) return c.json({ chain, rows: rows as LedgerPage['rows'], next } satisfies LedgerPage)
      c.header('content-type', 'text/csv; charset=utf-8')
      if (next !== null) c.header('link', `<${nextUrl(app.config.ORIGIN, c.req.url, next)}>; rel="next"`)
      return c.body(toCsv(rows, query.by))
    },
  )

  return routes
}

const placeLengths = { day: 3, entry: 5 } as const

/** `next` of the page before. null: this is the first. */
function placeOf(
  text: string | undefined,
  by: keyof typeof placeLengths,
): readonly (string | number)[] | null | 'wrong' {
  if (text === undefined) return null
  const Place = v.pipe(
    v.string(),
    v.parseJson(),
    v.pipe(v.array(v.union([v.string(), v.pipe(v.number(), v.safeInteger())])), v.length(placeLengths[by])),
  )
  const parsed = v.safeParse(Place, text)
  return parsed.success ? parsed.output : 'wrong'
}

function problemOf({
  from,
  to,
  after,
}: {
  from: number
  to: number
  after: ReturnType<typeof placeOf>
}): string | null {
  if (after === 'wrong') return 'after: must be the `next` of a page'
  if (from > to) return `from: must not be after to, ${toDate(to)}`
  return to - from >= maxDays ? `from: must be less than ${maxDays} days before to` : null
}

function prefersCsv(accept = ''): boolean {
  return /\btext\/csv\b/.test(accept)
}

function nextUrl(origin: string, asked: string, next: string): string {
  const { pathname, searchParams } = new URL(asked)
  searchParams.set('after', next)
  return `${origin}${pathname}?${searchParams}`
}

const paidColumns = ['payment', 'slashed', 'protocol_fee', 'verifier_fee']
/** Whoever reads them by their place finds each where it was: what is added comes last. */
const sumColumns = [...paidColumns, 'gas_used', 'gas_cost', 'owed', 'owing']
const csvColumns = {
  day: ['day', 'consumer', 'token', 'answers', 'rejected', 'failed', ...sumColumns],
  entry: [
    ...['day', 'at', 'hash', 'block', 'kind', 'subscription', 'interval', 'consumer', 'token'],
    ...sumColumns,
  ],
} as const

/** As of RFC 4180. No value has a comma, a quote or a line's end in it. */
function toCsv(rows: readonly object[], by: keyof typeof csvColumns): string {
  const columns = csvColumns[by]
  const lines = rows.map(row => {
    const values = new Map<string, unknown>(Object.entries(row))
    return columns.map(column => values.get(column) ?? '').join(',')
  })
  return [columns.join(','), ...lines].map(line => `${line}\r\n`).join('')
}

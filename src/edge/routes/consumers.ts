import { Hono } from 'hono'
import * as v from 'valibot'
import { isAddress } from 'viem'
import { ConsumerInFull, ConsumerPage } from '../../protocol/chain.ts'
import { listConsumers, readConsumer } from '../chain/view/consumers.ts'
import type { Context as App } from '../context.ts'
import { askedChain, chainId, whole } from './asked-chain.ts'
import { described } from './describe.ts'
import { refuse } from './refuse.ts'
import { valid } from './validate.ts'

const maxPage = 100

const address = v.pipe(
  v.string(),
  v.check(text => isAddress(text, { strict: false }), 'must be an address'),
  v.toLowerCase(),
)
const Listing = v.object({
  chain: v.optional(chainId),
  after: v.optional(address),
  limit: v.optional(v.pipe(whole(3), v.minValue(1), v.maxValue(maxPage)), String(maxPage)),
})
const Place = v.object({ chain: chainId, address })

/** What has come of those who ask by a chain: as public as the chain is. */
export function consumerRoutes(app: App): Hono {
  const routes = new Hono()

  routes.get(
    '/api/consumers',
    described({
      summary: 'Consumers, with what their answers have brought and cost',
      tag: 'Chains',
      parameters: [
        { name: 'chain', in: 'query', description: 'Chain id; the only chain when there is one.' },
        { name: 'after', in: 'query', description: 'Only higher addresses: `next` of the page before.' },
        { name: 'limit', in: 'query', description: `1 to ${maxPage}, which is the default.` },
      ],
      answer: { description: 'A page, by address.', schema: ConsumerPage },
      refusals: ['invalid_request', 'chain_not_enabled'],
    }),
    valid('query', Listing),
    async c => {
      const { chain, after = null, limit } = c.req.valid('query')
      const asked = askedChain(app, chain)
      if (typeof asked === 'object') return refuse(c, asked)
      const rows = await listConsumers(app.db, { chain: asked, after, limit: limit + 1 })
      const page = rows.slice(0, limit)
      return c.json({
        consumers: page,
        next: rows.length > limit ? (page.at(-1)?.owner ?? null) : null,
      } satisfies ConsumerPage)
    },
  )

  routes.get(
    '/api/consumers/:chain/:address',
    described({
      summary: 'One consumer, with its last 24 hours',
      tag: 'Chains',
      parameters: [
        { name: 'chain', in: 'path', description: 'Chain id.' },
        { name: 'address', in: 'path', description: 'Owner of subscriptions.' },
      ],
      answer: { description: 'The consumer.', schema: ConsumerInFull },
      refusals: ['invalid_request', 'not_found'],
    }),
    valid('param', Place),
    async c => {
      const { chain, address: owner } = c.req.valid('param')
      const settings = app.config.chains.find(({ config }) => config.id === chain)
      const found = settings && (await readConsumer(app.db, { config: settings.config, owner }))
      if (!found)
        return refuse(c, {
          code: 'not_found',
          error: 'Consumer not found',
          params: { chain, address: owner },
        })
      return c.json(found satisfies ConsumerInFull)
    },
  )

  return routes
}

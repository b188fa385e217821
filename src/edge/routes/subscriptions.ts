import { Hono } from 'hono'
import * as v from 'valibot'
import { SubscriptionInFull, SubscriptionPage } from '../../protocol/chain.ts'
import { listSubscriptions, readSubscription } from '../chain/view/read.ts'
import { deliveryView, subscriptionView } from '../chain/view/view.ts'
import type { Context as App } from '../context.ts'
import { described } from './describe.ts'
import { refuse } from './refuse.ts'
import { valid } from './validate.ts'

const whole = (digits: number) =>
  v.pipe(v.string(), v.regex(new RegExp(`^\\d{1,${digits}}$`), 'must be a whole number'), v.toNumber())
const chainId = whole(15)
const subscriptionId = whole(10)

const maxPage = 100
const shownDeliveries = 100

const Listing = v.object({
  chain: v.optional(chainId),
  state: v.optional(v.picklist(['active', 'refused', 'ended'])),
  before: v.optional(subscriptionId),
  limit: v.optional(v.pipe(whole(3), v.minValue(1), v.maxValue(maxPage)), String(maxPage)),
})
const Place = v.object({ chain: chainId, id: subscriptionId })

/** What this node knows of the subscriptions of its chains. They are public, as the chains are. */
export function subscriptionRoutes(app: App): Hono {
  const routes = new Hono()

  routes.get(
    '/api/subscriptions',
    described({
      summary: 'On-chain subscriptions, newest first',
      tag: 'Chains',
      parameters: [
        { name: 'chain', in: 'query', description: 'Chain id; the only chain when there is one.' },
        { name: 'state', in: 'query', description: '`active`, `refused` or `ended`.' },
        {
          name: 'before',
          in: 'query',
          description: 'Only those with a lower id: `next` of the page before.',
        },
        { name: 'limit', in: 'query', description: `1 to ${maxPage}, which is the default.` },
      ],
      answer: { description: 'A page.', schema: SubscriptionPage },
      refusals: ['invalid_request', 'chain_not_enabled'],
    }),
    valid('query', Listing),
    async c => {
      const { chain, state = null, before = null, limit } = c.req.valid('query')
      const chains = app.config.chains.map(({ config }) => config.id)
      const [only] = chains
      if (only === undefined || (chain !== undefined && !chains.includes(chain))) {
        return refuse(c, {
          code: 'chain_not_enabled',
          error: 'Chain not enabled',
          params: { chain: chain ?? null },
        })
      }
      if (chain === undefined && chains.length > 1) {
        return refuse(c, {
          code: 'invalid_request',
          error: 'This node serves several chains: say which',
          params: { chains },
        })
      }
      const rows = await listSubscriptions(app.db, { chain: chain ?? only, state, before, limit: limit + 1 })
      const page = rows.slice(0, limit)
      return c.json({
        subscriptions: page.map(subscriptionView),
        next: rows.length > limit ? (page.at(-1)?.id ?? null) : null,
      } satisfies SubscriptionPage)
    },
  )

  routes.get(
    '/api/subscriptions/:chain/:id',
    described({
      summary: 'One subscription with its deliveries',
      tag: 'Chains',
      parameters: [
        { name: 'chain', in: 'path', description: 'Chain id.' },
        { name: 'id', in: 'path', description: 'Subscription.' },
      ],
      answer: { description: 'The subscription.', schema: SubscriptionInFull },
      refusals: ['invalid_request', 'not_found'],
    }),
    valid('param', Place),
    async c => {
      const place = c.req.valid('param')
      const found = await readSubscription(app.db, { ...place, limit: shownDeliveries })
      if (!found) return refuse(c, { code: 'not_found', error: 'Subscription not found', params: place })
      return c.json({
        ...subscriptionView(found.row),
        deliveries: found.deliveries.map(deliveryView),
      } satisfies SubscriptionInFull)
    },
  )

  return routes
}

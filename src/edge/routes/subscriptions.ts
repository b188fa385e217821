import { Hono } from 'hono'
import * as v from 'valibot'
import { DelegatedInFull, SubscriptionInFull, SubscriptionPage } from '../../protocol/chain.ts'
import { DelegatedCreated, DelegatedRequestBody } from '../../protocol/delegated.ts'
import { JobId } from '../../protocol/job.ts'
import { listSubscriptions, readDelegated, readSubscription } from '../chain/view/read.ts'
import { deliveryView, subscriptionView } from '../chain/view/view.ts'
import type { Context as App } from '../context.ts'
import { askedChain, chainId, whole } from './asked-chain.ts'
import { type Create, creating, delegating, tellOutcomes } from './creating.ts'
import { described } from './describe.ts'
import { refuse } from './refuse.ts'
import { valid } from './validate.ts'

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

/** What this node knows of the subscriptions of its chains, which are public as the chains are; and where those come in that are signed for. */
export function subscriptionRoutes(app: App, create: Create): Hono {
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
      const asked = askedChain(app, chain)
      if (typeof asked === 'object') return refuse(c, asked)
      const rows = await listSubscriptions(app.db, { chain: asked, state, before, limit: limit + 1 })
      const page = rows.slice(0, limit)
      return c.json({
        subscriptions: page.map(subscriptionView),
        next: rows.length > limit ? (page.at(-1)?.id ?? null) : null,
      } satisfies SubscriptionPage)
    },
  )

  routes.post(
    '/api/subscriptions',
    described({
      summary: 'Take on a delegated subscription',
      tag: 'Chains',
      description:
        'Verified before it is answered, and stored before anything is computed. The same again is answered the same.',
      body: DelegatedRequestBody,
      answer: { description: 'It is taken on.', schema: DelegatedCreated },
      refusals: [...creating, ...delegating],
    }),
    async c => {
      const [outcome] = await create(c, { batch: false, watched: false, delegatedOnly: true })
      if (!outcome) return refuse(c, { code: 'malformed_json', error: 'Malformed JSON: the body is empty' })
      if ('code' in outcome) return refuse(c, outcome)
      tellOutcomes(c, [outcome])
      return c.json(outcome.delegated)
    },
  )

  routes.get(
    '/api/subscriptions/:id',
    described({
      summary: 'One delegated subscription with its deliveries',
      tag: 'Chains',
      parameters: [{ name: 'id', in: 'path', description: 'As it was answered when it was taken on.' }],
      answer: { description: 'The subscription.', schema: DelegatedInFull },
      refusals: ['invalid_request', 'not_found'],
    }),
    valid('param', v.object({ id: JobId })),
    async c => {
      const { id } = c.req.valid('param')
      const found = await readDelegated(app.db, { id: id.toLowerCase(), limit: shownDeliveries })
      if (!found) return refuse(c, { code: 'not_found', error: 'Subscription not found', params: { id } })
      const { taken } = found
      return c.json({
        ...subscriptionView(found.row),
        deliveries: found.deliveries.map(deliveryView),
        id: taken.id,
        subscription_id: taken.subscription > 0 ? taken.subscription : null,
        nonce: taken.nonce,
        expiry: taken.expiry,
        data_signed: taken.data_signed === 1,
      } satisfies DelegatedInFull)
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

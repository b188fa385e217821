import { Hono } from 'hono'
import * as v from 'valibot'
import { ProofPage, ProofState } from '../../protocol/proof.ts'
import { listProofs } from '../chain/view/proofs.ts'
import type { Context as App } from '../context.ts'
import { askedChain, chainId, whole } from './asked-chain.ts'
import { adminAuth } from './auth.ts'
import { described } from './describe.ts'
import { refuse } from './refuse.ts'
import { valid } from './validate.ts'

const maxPage = 1_000

const number = v.pipe(v.number(), v.safeInteger())
const Place = v.tuple([v.picklist(['pending', 'settled']), number, number, number])
const Query = v.pipe(
  v.object({
    chain: v.optional(chainId),
    state: v.optional(ProofState),
    after: v.optional(v.pipe(v.string(), v.maxLength(100), v.parseJson(), Place)),
    limit: v.optional(v.pipe(whole(4), v.minValue(1), v.maxValue(maxPage)), '100'),
  }),
  v.check(
    ({ state, after }) =>
      state === undefined || after === undefined || (state === 'pending') === (after[0] === 'pending'),
    'after: must be the `next` of a page of this state',
  ),
)

/** What the node has at stake, proof by proof, for its operator. */
export function proofRoutes(app: App): Hono {
  const routes = new Hono()

  routes.get(
    '/api/proofs',
    adminAuth(app.config.ADMIN_TOKEN),
    described({
      summary: 'Proofs of answers on a chain, and what is at stake for each',
      tag: 'Admin',
      description:
        'Those that wait for a verdict come first, in the order in which they are looked at; then the others, the newest verdict first.',
      parameters: [
        { name: 'chain', in: 'query', description: 'Chain id; the only chain when there is one.' },
        { name: 'state', in: 'query', description: 'Only these.' },
        { name: 'after', in: 'query', description: '`next` of the page before.' },
        { name: 'limit', in: 'query', description: `1 to ${maxPage}; 100 is the default.` },
      ],
      answer: { description: 'A page.', schema: ProofPage },
      refusals: ['unauthorized', 'invalid_request', 'chain_not_enabled'],
      secured: 'admin',
    }),
    valid('query', Query),
    async c => {
      const { state = null, after = null, limit, ...query } = c.req.valid('query')
      const chain = askedChain(app, query.chain)
      if (typeof chain !== 'number') return refuse(c, chain)
      const found = await listProofs(app.db, { chain, state, after, limit: limit + 1 })
      const page = found.slice(0, limit)
      return c.json({
        chain,
        proofs: page.map(({ proof }) => proof),
        next: found.length > limit ? JSON.stringify(page.at(-1)?.place) : null,
      } satisfies ProofPage)
    },
  )

  return routes
}

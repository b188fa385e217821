import * as v from 'valibot'
import { zeroAddress } from 'viem'
import { expect } from 'vitest'
import { DelegatedCreated } from '../../src/protocol/delegated.ts'
import { nodeAddress, startTestChain, type TestChain } from '../support/chain.ts'
import { chainVars, type Delegator, deployDelegator } from '../support/delegators.ts'
import { startTestEdge, type TestEdge } from '../support/edge.ts'
import { type RpcProxy, startRpcProxy } from '../support/rpc-proxy.ts'
import { policyOf, startTestRunner, type TestRunner } from '../support/runner.ts'

export const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/
/** Of nobody. */
export const token = `0x${'11'.repeat(20)}`

export const containers = [
  policyOf('echo'),
  policyOf('inner', { external: false }),
  policyOf('office', { allowed_delegate_addresses: [token] }),
  policyOf('dear', { accepted_payments: { [zeroAddress]: '10' } }),
  policyOf('proven', { generates_proofs: true }),
  policyOf('careful', { signed_data: true }),
]

/** The edge's door for what is signed, before a real chain whose endpoint may go wrong. */
export type DelegatedDoor = {
  chain: TestChain
  proxy: RpcProxy
  edge: TestEdge
  runner: TestRunner
  delegator: Delegator
  body: Delegator['body']
  /** Posts a body; to `/api/subscriptions` unless a path is given. */
  send(text: string, path?: string, init?: RequestInit): Promise<Response>
  /** The same, which must be taken on. */
  take(text: string, path?: string): Promise<DelegatedCreated>
  get(path: string): Promise<{ status: number; body: Record<string, unknown> }>
  /** Rows of a table. */
  count(table: string): Promise<number>
  /** What the edge has answered to `send` and `get`, since it was last cleared. */
  answers(): string
  /** Nothing is known of anybody; the endpoint is well. */
  clear(): Promise<void>
  close(): Promise<void>
}

export async function startDelegatedDoor(): Promise<DelegatedDoor> {
  const chain = await startTestChain()
  const proxy = await startRpcProxy(chain.rpcUrl)
  const delegator = await deployDelegator(chain)
  const config = { payment_address: nodeAddress }
  const edge = await startTestEdge({ vars: chainVars(chain, { url: proxy.url, config }) })
  const runner = await startTestRunner(edge, containers)
  let answers: string[] = []

  const send: DelegatedDoor['send'] = async (text, path = '/api/subscriptions', init = {}) => {
    const response = await edge.request(path, { method: 'POST', body: text, ...init })
    answers.push(await response.clone().text())
    return response
  }

  return {
    ...{ chain, proxy, edge, runner, delegator, send },
    body: delegator.body,
    take: async (text, path) => await created(await send(text, path)),
    async get(path) {
      const response = await edge.request(path)
      const text = await response.text()
      answers.push(text)
      return { status: response.status, body: JSON.parse(text) as Record<string, unknown> }
    },
    async count(table) {
      const [row] = await edge.db.orm.all<{ n: number }>(`select count(*) as n from ${table}`)
      return row?.n ?? 0
    },
    answers: () => answers.join('\n'),
    async clear() {
      answers = []
      proxy.setFault(() => null)
      proxy.setOverride(() => null)
      for (const table of ['jobs', 'parts', 'deliveries', 'subscriptions', 'delegations'])
        await edge.db.orm.run(`delete from ${table}`)
    },
    async close() {
      await edge[Symbol.asyncDispose]()
      await proxy.close()
      await chain.close()
    },
  }
}

/** What an answer says that took one on, and nothing else. */
export async function created(response: Response): Promise<DelegatedCreated> {
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json'])
  return v.parse(v.strictObject(DelegatedCreated.entries), await response.json())
}

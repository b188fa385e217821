import { type DelegatedCreated, parseDelegated } from '../../protocol/delegated.ts'
import type { Refusal } from '../../protocol/error.ts'
import { parseJson, plain } from '../../protocol/json.ts'
import { limits } from '../../protocol/limits.ts'
import { accept } from '../chain/delegated/accept.ts'
import type { Doors } from '../chain/delegated/doors.ts'
import { RpcUnavailable } from '../chain/rpc.ts'
import type { Context as App } from '../context.ts'
import { readParts } from '../jobs/parts.ts'
import { describe } from '../log.ts'
import type { Item } from './intake.ts'

/** `replayed`: an earlier request is answered again. */
export type TakenOn = { created: DelegatedCreated; replayed: boolean }

const decoder = new TextDecoder()

/** Takes on the items of one request that are delegated subscriptions. A chain that is silent is not asked again for each of them. */
export function createTaking(app: App, doors: Doors): (item: Item) => Promise<TakenOn | Refusal> {
  const silent = new Set<number>()
  return item => takeOn(app, { doors, silent, item })
}

type Taking = { doors: Doors; silent: Set<number>; item: Item }

async function takeOn(app: App, { doors, silent, item }: Taking): Promise<TakenOn | Refusal> {
  const { fields, dataType } = item
  if (dataType === null) return invalid('data: is missing')
  if (dataType !== 'object') return invalid('data: must be an object')
  // `JSON.parse` would take digits away from what was signed.
  const { request, problems } = parseDelegated(plain(parseJson(decoder.decode(fields ?? undefined))))
  if (problems) return invalid(problems.join('; '))
  const chain = chainOf(app, request.chain_id)
  if (typeof chain === 'object') return chain
  const data = await dataOf(app, item)
  if (typeof data === 'object') return data
  if (silent.has(chain)) return unavailable(chain)
  try {
    const door = await doors(chain)
    if (door === null) return notEnabled(chain)
    const taken = await accept(door, { request, data })
    if ('refusal' in taken) return taken.refusal
    const { id, chainId, subscriptionId, job, interval, replayed } = taken
    const created = {
      id,
      status_url: `${app.config.ORIGIN}/api/subscriptions/${id}`,
      job_id: job,
      chain_id: chainId,
      subscription_id: subscriptionId,
      interval,
    }
    return { created, replayed }
  } catch (error) {
    if (!(error instanceof RpcUnavailable)) throw error
    app.log.warn('Chain unavailable', { chain, error: describe(error) })
    silent.add(chain)
    return unavailable(chain)
  }
}

function unavailable(chain: number): Refusal {
  return { code: 'chain_unavailable', error: 'The chain does not answer', params: { chain } }
}

function chainOf({ config }: App, asked: number | null): number | Refusal {
  const chains = config.chains.map(chain => chain.config.id)
  if (asked !== null) return chains.includes(asked) ? asked : notEnabled(asked)
  const [only] = chains
  if (only === undefined) return notEnabled(null)
  return chains.length === 1
    ? only
    : {
        code: 'invalid_request',
        error: 'Invalid json: chain_id: is missing, and this node serves several chains',
        params: { chains },
      }
}

function notEnabled(chain: number | null): Refusal {
  return { code: 'chain_not_enabled', error: 'Chain not enabled', params: { chain } }
}

function invalid(problem: string): Refusal {
  return { code: 'invalid_request', error: `Invalid json: ${problem}` }
}

/** The text of `data`, as it stands in the body. */
async function dataOf({ db }: App, { id, input }: Item): Promise<string | Refusal> {
  const { inline, bytes, parts, refused } = input.done()
  if (bytes > limits.delegatedDataBytes)
    return {
      code: 'body_too_large',
      error: 'The data of a delegated subscription is too large',
      params: { limit: limits.delegatedDataBytes },
    }
  if (refused) return { code: 'queue_full', error: 'The queue is full' }
  if (inline) return decoder.decode(inline)
  const pieces = new TextDecoder()
  let text = ''
  for await (const piece of readParts(db, { id, kind: 'data', attempt: 0, parts }))
    text += pieces.decode(piece, { stream: true })
  return text + pieces.decode()
}

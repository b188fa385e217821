import * as v from 'valibot'
import { ChainInfo } from '../protocol/chain.ts'
import { Health, Info, Ready, Resources } from '../protocol/node.ts'
import { parse } from './answer.ts'
import type { CallOptions, Transport } from './transport.ts'

/** Whether the node runs. */
export async function health(transport: Transport, { signal }: CallOptions = {}): Promise<Health> {
  return parse(Health, await transport.send({ method: 'GET', path: '/health', repeatable: true, signal }))
}

/** Older nodes tell nothing of proofs. */
const AnyInfo = v.object({
  ...Info.entries,
  chains: v.array(
    v.object({
      ...ChainInfo.entries,
      proofs: v.optional(ChainInfo.entries.proofs, { pending: 0, at_stake: [] }),
    }),
  ),
})

/** Version, containers that run, pending jobs; of a node that does not tell of its proofs, none. */
export async function info(transport: Transport, { signal }: CallOptions = {}): Promise<Info> {
  return parse(AnyInfo, await transport.send({ method: 'GET', path: '/info', repeatable: true, signal }))
}

/** Whether the node can compute, with reasons. "Not ready", which it says with 503, is an answer too. */
export async function ready(transport: Transport, { signal }: CallOptions = {}): Promise<Ready> {
  const answer = await transport.send({
    method: 'GET',
    path: '/ready',
    repeatable: true,
    accepts: 503,
    signal,
  })
  return parse(Ready, answer)
}

export type ResourcesOptions = CallOptions & {
  /** Ask the containers whether they support this model instead. */
  modelId?: string | undefined
}

/** What the containers say of themselves, by container id; silent ones are left out. */
export async function resources(
  transport: Transport,
  { modelId, signal }: ResourcesOptions = {},
): Promise<Resources> {
  const query = new URLSearchParams(modelId === undefined ? {} : { model_id: modelId })
  return parse(
    Resources,
    await transport.send({ method: 'GET', path: '/resources', query, repeatable: true, signal }),
  )
}

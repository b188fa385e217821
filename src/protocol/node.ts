import * as v from 'valibot'
import { ChainInfo } from './chain.ts'

export const Health = v.object({ status: v.picklist(['healthy', 'unhealthy']) })
export type Health = v.InferOutput<typeof Health>

/** `GET /info` (reference node 1.5). */
export const Info = v.object({
  version: v.string(),
  containers: v.array(
    v.object({ id: v.string(), description: v.string(), external: v.boolean(), image: v.string() }),
  ),
  pending: v.object({ offchain: v.number(), onchain: v.number() }),
  chain: v.object({ enabled: v.boolean(), address: v.string() }),
  chains: v.array(ChainInfo),
})
export type Info = v.InferOutput<typeof Info>

/** `GET /resources`: container id to what its `/service-resources` said. Silent containers are left out. */
export const Resources = v.record(v.string(), v.unknown())
export type Resources = v.InferOutput<typeof Resources>

const Check = v.object({ ok: v.boolean(), reason: v.optional(v.string()) })

/** `GET /ready`: 200 when every check is ok, else 503 with the reasons. */
export const Ready = v.object({
  ready: v.boolean(),
  checks: v.object({ database: Check, schema: Check, runners: Check }),
})
export type Ready = v.InferOutput<typeof Ready>

import * as v from 'valibot'
import type { Hex } from 'viem'
import { type BlockTag, toParam } from './call.ts'
import type { Block } from './chain.ts'
import { quantity } from './head-told.ts'
import { type Rpc, type RpcAnswer, type RpcCall, RpcUnavailable } from './rpc.ts'

const number = v.pipe(
  v.unknown(),
  v.transform(quantity),
  v.check(told => told !== null),
  v.transform(told => told ?? 0),
)
const hash = v.pipe(
  v.string(),
  v.regex(/^0x[0-9a-f]{64}$/i),
  v.transform(text => text.toLowerCase() as Hex),
)
const wei = v.pipe(
  v.string(),
  v.regex(/^0x[0-9a-f]{1,64}$/i),
  v.transform(text => BigInt(text)),
)

/** A block as nodes tell it, without its transactions. */
const Told = v.pipe(
  v.object({
    number,
    hash,
    timestamp: number,
    baseFeePerGas: v.nullish(wei, null),
  }),
  v.transform(
    ({ number, hash, timestamp, baseFeePerGas }): Block => ({
      number,
      hash,
      time: timestamp,
      baseFee: baseFeePerGas,
    }),
  ),
)

export function blockCall(tag: BlockTag): RpcCall {
  return { method: 'eth_getBlockByNumber', params: [toParam(tag), false] }
}

/**
 * Null: there is no such block.
 * @throws RpcUnavailable when it is not told.
 */
export function toBlock(answer: RpcAnswer | undefined): Block | null {
  if (answer?.result === null) return null
  const parsed = v.safeParse(Told, answer?.result)
  if (parsed.success) return parsed.output
  throw new RpcUnavailable('A block is not told as blocks are.')
}

/**
 * The blocks that the chain has at these heights; null where it has none.
 * @throws RpcUnavailable
 */
export async function readBlocks(rpc: Rpc, numbers: readonly number[]): Promise<(Block | null)[]> {
  const answers = await rpc.send(numbers.map(blockCall))
  return answers.map(toBlock)
}

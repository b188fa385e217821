import { type Address, encodeFunctionData, parseAbi } from 'viem'
import { type BlockTag, toCall, toWord } from '../call.ts'
import { anchorCall } from '../next-id.ts'
import { type RpcCall, RpcUnavailable } from '../rpc.ts'
import type { Step } from '../step.ts'

/** Where rollups of the OP stack tell what they take for a transaction's bytes beside its gas, for the chain below. */
const oracle: Address = '0x420000000000000000000000000000000000000f'
/** Since the upgrade Fjord: for bytes that cannot be compressed. */
const oracleAbi = parseAbi(['function getL1FeeUpperBound(uint256 unsignedTxSize) view returns (uint256)'])
/** Of a transaction, around its call data. */
const envelopeBytes = 120

function dataFeeCall(bytes: number, at: BlockTag): RpcCall {
  const args = [BigInt(bytes + envelopeBytes)] as const
  return toCall({ to: oracle, data: encodeFunctionData({ abi: oracleAbi, args }) }, at)
}

/**
 * What transactions with so many bytes of call data pay for these together, beside their gas, in wei; null: it is not told; 0 bytes are no transaction.
 * One request: whether the chain takes anything is asked along, with no bytes, which whoever has the function answers.
 */
export async function readDataFees(
  { chain, contracts, latest }: Pick<Step, 'chain' | 'contracts' | 'latest'>,
  sizes: Iterable<number>,
): Promise<(...sizes: readonly number[]) => bigint | null> {
  const asked = [...new Set(sizes)].filter(bytes => bytes > 0)
  if (asked.length === 0) return () => 0n
  const calls = [0, ...asked].map(bytes => dataFeeCall(bytes, latest.number))
  const answers = await chain.rpc
    .send(calls, anchorCall(contracts, { at: latest.number, ids: [] }))
    .catch((error: unknown) => {
      // An endpoint may have trouble with this alone: only who waits for the fee is to wait.
      if (error instanceof RpcUnavailable) return null
      throw error
    })
  const [none, ...told] = answers ?? []
  if (none && toWord(none) === null && !none.error?.isUnclear) return () => 0n
  const fees = new Map(asked.map((bytes, index) => [bytes, toWord(told[index])]))
  return (...those) =>
    those.reduce<bigint | null>((sum, bytes) => {
      const fee = bytes === 0 ? 0n : (fees.get(bytes) ?? null)
      return sum === null || fee === null ? null : sum + fee
    }, 0n)
}

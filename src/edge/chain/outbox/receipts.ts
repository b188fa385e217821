import type { Address } from 'viem'
import type { RpcAnswer, RpcCall } from '../rpc.ts'
import type { Step } from '../step.ts'
import type { Open } from './open.ts'
import { type Receipt, readReceipt } from './receipt.ts'

/** For all that was signed for each: whichever was mined. */
export function receiptCalls(open: readonly Pick<Open, 'hashes'>[]): RpcCall[] {
  return open
    .flatMap(({ hashes }) => hashes)
    .map(hash => ({ method: 'eth_getTransactionReceipt', params: [hash] }))
}

/** By the transaction's id, of those that have one. `answers`: to `receiptCalls`. */
export function receiptsOf(
  open: readonly Pick<Open, 'id' | 'hashes'>[],
  { answers, coordinator }: { answers: readonly RpcAnswer[]; coordinator: Address },
): Map<string, Receipt> {
  const ids = open.flatMap(({ id, hashes }) => hashes.map(() => id))
  const receipts = new Map<string, Receipt>()
  for (const [index, id] of ids.entries()) {
    const receipt = readReceipt(answers[index], coordinator)
    if (receipt && !receipts.has(id)) receipts.set(id, receipt)
  }
  return receipts
}

/** In a block that nobody has looked at yet: it is looked at next, as only then its reorganisation would be noticed. */
export function isAbove({ latest }: Step, { block, blockHash }: Receipt): boolean {
  return block > latest.number || (block === latest.number && blockHash !== latest.hash)
}

import { type Hex, type TransactionReceipt, WaitForTransactionReceiptTimeoutError } from 'viem'
import { InfernetError } from '../error.ts'
import { senderOf, type Transaction, type WalletChain } from './chain.ts'
import { revertData, reverted } from './reverts.ts'
import { notSent } from './sending.ts'

/**
 * What a transaction would return, without sending it.
 * @throws InfernetError `reverted`, `not_sent`, `bad_answer`.
 */
export async function tryOut(chain: WalletChain, transaction: Transaction): Promise<Hex> {
  const { address: account } = senderOf(chain)
  try {
    const { data = '0x' } = await chain.reads.call({ account, ...transaction })
    return data
  } catch (cause) {
    throw notSent(cause, { host: chain.host, address: account })
  }
}

/**
 * Sends a transaction, and waits until it is mined. What would fail is not sent.
 * @throws InfernetError `reverted`, before it was sent or, with its `hash`, after; `not_sent`; `not_mined` with its `hash`; `bad_answer`.
 */
export async function transact(chain: WalletChain, transaction: Transaction): Promise<TransactionReceipt> {
  await tryOut(chain, transaction)
  const hash = await senderOf(chain).send(transaction)
  const receipt = await mined(chain, hash)
  if (receipt.status === 'success') return receipt
  throw reverted(await reasonOf(chain, { transaction, receipt }), { hash: receipt.transactionHash })
}

async function mined({ reads, waitMs }: WalletChain, hash: Hex): Promise<TransactionReceipt> {
  let displaced = false
  const receipt = await reads
    .waitForTransactionReceipt({
      hash,
      timeout: waitMs,
      onReplaced: ({ reason }) => {
        displaced = reason !== 'repriced'
      },
    })
    .catch((cause: unknown) => {
      const why =
        cause instanceof WaitForTransactionReceiptTimeoutError
          ? `is not mined after ${waitMs / 1000} s`
          : 'was sent, and the chain does not tell what became of it'
      throw unknownEnd(
        `Transaction ${hash} ${why}: it may still be mined. Look for its receipt before you send it again`,
        { hash, cause },
      )
    })
  if (!displaced) return receipt
  throw unknownEnd(
    `Another transaction of the account, ${receipt.transactionHash}, took the place of ${hash}`,
    {
      hash,
    },
  )
}

function unknownEnd(message: string, { hash, cause }: { hash: Hex; cause?: unknown }): InfernetError {
  return new InfernetError(message, { status: null, code: 'not_mined', params: { hash }, cause })
}

/** What it reverts with where it was mined; null: it would not any more. */
async function reasonOf(
  chain: WalletChain,
  { transaction, receipt }: { transaction: Transaction; receipt: TransactionReceipt },
): Promise<Hex | null> {
  try {
    await chain.reads.call({ account: receipt.from, blockNumber: receipt.blockNumber, ...transaction })
    return null
  } catch (cause) {
    return revertData(cause) ?? null
  }
}

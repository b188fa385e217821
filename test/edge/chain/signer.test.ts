import { parseTransaction, recoverTransactionAddress } from 'viem'
import { expect, test } from 'vitest'
import { createSigner } from '../../../src/edge/chain/signer.ts'

test('default: what it signs is what it was given, in its name', async () => {
  const signer = createSigner(`0x${'11'.repeat(32)}`)
  const transaction = {
    type: 'eip1559',
    chainId: 31_337,
    nonce: 3,
    to: '0x663f3ad617193148711d28f5334ee4ed07016602',
    data: '0xabcd',
    value: 1n,
    gas: 21_000n,
    maxFeePerGas: 2_000_000_000n,
    maxPriorityFeePerGas: 1n,
  } as const
  const raw = await signer.signTransaction(transaction)
  expect(parseTransaction(raw)).toMatchObject(transaction)
  const by = await recoverTransactionAddress({ serializedTransaction: raw as `0x02${string}` })
  expect(by.toLowerCase()).toBe(signer.address)
})

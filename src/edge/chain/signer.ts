import type { Hex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { Signer } from './chain.ts'

/** Signs with a key that this process holds. */
export function createSigner(privateKey: Hex): Signer {
  const account = privateKeyToAccount(privateKey)
  return {
    // In lower case, as addresses are compared everywhere.
    address: account.address.toLowerCase() as Hex,
    signTransaction: async transaction => await account.signTransaction(transaction),
  }
}

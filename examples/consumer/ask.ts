import { readFileSync } from 'node:fs'
import { type Hex, isAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { createClient } from '../../src/client/client.ts'

/**
 * Asks in the name of a `DelegatedAllowlist`, without a transaction: its signer signs, and the node that answers brings the signature to
 * the chain, where the consumer gets its `_receiveCompute`.
 *
 *     npx node examples/consumer/ask.ts NODE_URL CONSUMER KEY_FILE CONTAINER 'JSON OF THE DATA'
 *
 * Prints what the node has taken on. It is believed about its chain; name `chainId` and `coordinator` to one that is not yours.
 */
const [url = '', owner = '', keyFile = '', container = '', dataJson = '{}'] = process.argv.slice(2)
if (!isAddress(owner)) throw new Error('CONSUMER must be the address of the contract')

const signer = privateKeyToAccount(readFileSync(keyFile, 'utf8').trim() as Hex)
/** Each makes one subscription of the owner; any that has not been used will do. */
const [nonce = 0] = crypto.getRandomValues(new Uint32Array(1))

const taken = await createClient({ url }).createDelegatedSubscription({
  subscription: { owner, containers: [container], redundancy: 1 },
  signer,
  nonce,
  expiry: Math.floor(Date.now() / 1000) + 3600,
  dataJson,
})
console.log(JSON.stringify(taken))

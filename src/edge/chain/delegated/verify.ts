import { type Address, concat, encodeFunctionData, type Hex, numberToHex, parseAbi, zeroAddress } from 'viem'
import { dataDigestOf } from '../../../protocol/data-signature.ts'
import type { Refusal } from '../../../protocol/error.ts'
import { recoverSigner, splitSignature } from '../../../protocol/signature.ts'
import { blockCall, toBlock } from '../block.ts'
import { returned, toCall, toWord } from '../call.ts'
import type { Block, Chain, Contracts, Status, Subscription } from '../chain.ts'
import { paymentObstacle } from '../decide.ts'
import { intervalAt } from '../interval.ts'
import { anchorCall } from '../next-id.ts'
import { toWallet, walletQuestion } from '../read-wallets.ts'
import { isRevert, revertOf } from '../reverts.ts'
import { type RpcAnswer, type RpcError, RpcUnavailable } from '../rpc.ts'
import { sendApart } from '../send-apart.ts'
import { sentenceOf } from '../telling.ts'
import type { Asked } from './asked.ts'
import { askedGas, createdIdCall, creationCall, signerCall } from './calls.ts'
import { isCreatedAs } from './created-as.ts'
import type { Signed } from './signed.ts'
import { storedCall, toStored } from './stored.ts'

/**
 * `createdId`: the chain has it already. `dataSigned`: the signer has signed for the data as well. `wallet`: what may be spent of the one that
 * pays; null: none does.
 */
export type Verified = {
  block: Block
  createdId: number | null
  dataSigned: boolean
  wallet: Status['wallet']
}

type Place = { chain: Chain; contracts: Contracts }

const ownerAbi = parseAbi(['function requiresSignedData() view returns (bool)'])
const signerAbi = parseAbi(['function isValidSignature(bytes32, bytes) view returns (bytes4)'])
const isValid = '0x1626ba7e'.padEnd(66, '0')

/**
 * `admitAt`: the node's own checks, at a block's time. `wantsSignedData`: a container does. `head`: the highest block that this node has looked
 * at; who has not got it lags.
 */
type VerifyOptions = {
  admitAt(time: number): Refusal | null
  wantsSignedData: boolean
  head: number
}

/**
 * Whether the chain would create it: by one request, and for what is there already, or signed by a contract, by one more. In the
 * reference's order: its expiry, the node's own checks, then who has signed; and, as of any subscription, what is in the wallet that pays.
 * @throws RpcUnavailable when no endpoint answers: that is no refusal.
 */
export async function verify(
  { chain, contracts }: Place,
  asked: Asked,
  { admitAt, wantsSignedData, head: least }: VerifyOptions,
): Promise<Verified | { refusal: Refusal }> {
  const { subscription, signed } = asked
  const { owner } = subscription
  const answers = await sendApart(
    chain.rpc,
    [
      blockCall('latest'),
      signerCall(owner, 'latest'),
      createdIdCall({ owner, nonce: signed.nonce }, { contracts, at: 'latest' }),
      creationCall({ subscription, signed }, { contracts, at: 'latest', chain }),
      toCall(
        {
          to: owner,
          data: encodeFunctionData({ abi: ownerAbi, functionName: 'requiresSignedData' }),
          gas: askedGas,
        },
        'latest',
      ),
      ...(subscription.paymentAmount > 0n ? walletQuestion(subscription, { contracts, at: 'latest' }) : []),
    ],
    { anchor: anchorCall(contracts, { at: 'latest', ids: [] }) },
  )
  const [head, told, created, creation, signsData, ...funds] = answers
  const block = toBlock(head)
  const id = toWord(created)
  if (block === null || block.number < least || id === null || answers.some(isUnread)) throw unread()
  const signer = signerOf(told)
  const createdId = id > 0n ? Number(id) : null
  const isExpired = createdId === null && block.time >= signed.expiry
  const refusal =
    (isExpired ? expired(signed, block) : admitAt(block.time)) ??
    (createdId === null
      ? await creationFlaw(asked, { block, signer, creation })
      : ((await usedFlaw({ chain, contracts }, { subscription, id: createdId, block })) ??
        (await strangerFlaw(chain, { asked, signer }))))
  if (refusal !== null) return { refusal }
  const dataSigned = signer !== null && (await isDataSigned({ chain, contracts }, asked, signer))
  if (asked.dataSignature !== null && !dataSigned)
    return {
      refusal: {
        code: 'invalid_signature',
        error: 'The signature for the data is not its signer’s',
        params: { owner },
      },
    }
  if (!dataSigned && (wantsSignedData || toWord(signsData) === 1n))
    return {
      refusal: { code: 'data_not_signed', error: 'The data has to be signed as well', params: { owner } },
    }
  const wallet = toWallet(funds)
  const poor = createdId === null ? walletFlaw({ subscription, wallet }, block) : null
  if (poor !== null) return { refusal: poor }
  return { block, createdId, dataSigned, wallet }
}

/** As the schedule has it: what is in a wallet matters from when an interval is open. What is created waits for it there. */
function walletFlaw(status: Pick<Status, 'subscription' | 'wallet'>, { time }: Block): Refusal | null {
  const obstacle = paymentObstacle(status)
  const isLater = intervalAt(status.subscription, time) === 0
  if (obstacle === null || (isLater && obstacle !== 'invalid_wallet')) return null
  return { code: 'invalid_payment', error: 'Invalid payment', params: { reason: sentenceOf(obstacle) } }
}

/** Why nothing can be created; null: it can. What the coordinator says counts; who has signed tells why it says so. */
async function creationFlaw(
  { subscription: { owner }, signed, digest }: Asked,
  { block, signer, creation }: { block: Block; signer: Address | null; creation: RpcAnswer | undefined },
): Promise<Refusal | null> {
  const { nonce } = signed
  const error = creation?.error
  if (error === undefined) {
    if (toWord(creation) === null) throw unread()
    return null
  }
  if (signer === null)
    return { code: 'signer_mismatch', error: 'The owner names no signer', params: { owner } }
  const recovered = await recoverSigner(digest, signed)
  const { code, message } = nameOf(error, block)
  if (code === 'InvalidSignature' || recovered === null)
    return { code: 'invalid_signature', error: 'The signature is not valid', params: { owner } }
  if (code === 'NonceInvalidated')
    return { code: 'nonce_used', error: 'The nonce was invalidated', params: { owner, nonce } }
  if (code === 'SignerMismatch' || recovered !== signer)
    return { code: 'signer_mismatch', error: 'Subscription signer mismatch', params: { owner, signer } }
  return { code: 'refused_by_chain', error: message, params: { reason: code } }
}

function expired({ expiry }: Signed, { time }: Block): Refusal {
  return { code: 'signature_expired', error: 'Signature expired', params: { expiry, time } }
}

function nameOf(error: RpcError, { time }: Block): { code: string; message: string } {
  return revertOf(error, { begin: 0, end: null, time })
}

/** Why what the nonce has created is not what is asked for; null: it is. */
async function usedFlaw(
  { chain, contracts }: Place,
  { subscription, id, block }: { subscription: Subscription; id: number; block: Block },
): Promise<Refusal | null> {
  const [answer] = await chain.rpc.send([storedCall(id, { contracts, at: block.number })])
  const told = toStored(id, answer)
  if (told === null) throw unread()
  if (isCreatedAs(subscription, told)) return null
  return {
    code: 'nonce_used',
    error: 'The nonce was used for another subscription',
    params: { owner: subscription.owner, subscription_id: id },
  }
}

/** Lower case; null: it names none. As the coordinator reads it: the first word counts, whatever follows. */
function signerOf(answer: RpcAnswer | undefined): Address | null {
  const word = toWord({ result: returned(answer)?.slice(0, 66) })
  if (word === null || word === 0n || word >= 2n ** 160n) return null
  const signer: Address = `0x${word.toString(16).padStart(40, '0')}`
  return signer === zeroAddress ? null : signer
}

async function isDataSigned(
  { chain, contracts }: Place,
  { subscription: { owner }, signed: { nonce }, data, dataSignature }: Asked,
  signer: Address,
): Promise<boolean> {
  if (dataSignature === null) return false
  const domain = { chainId: chain.config.id, coordinator: contracts.coordinator }
  const digest = dataDigestOf(domain, { owner, nonce, data })
  return await isSignedBy(chain, { signer, digest, signature: dataSignature })
}

/** Once something is created, the coordinator looks at no signature any more: data would be anybody's to bring. */
async function strangerFlaw(
  chain: Chain,
  { asked: { subscription, signed, digest }, signer }: { asked: Asked; signer: Address | null },
): Promise<Refusal | null> {
  const { owner } = subscription
  const { v, r, s } = signed
  const signature = concat([r, s, numberToHex(v, { size: 1 })])
  if (signer !== null && (await isSignedBy(chain, { signer, digest, signature }))) return null
  return { code: 'signer_mismatch', error: 'Subscription signer mismatch', params: { owner, signer } }
}

/** Its key's signature, or, of a contract, one that it takes for its own. */
async function isSignedBy(
  chain: Chain,
  { signer, digest, signature }: { signer: Address; digest: Hex; signature: Hex },
): Promise<boolean> {
  const parts = splitSignature(signature)
  if (parts !== null && (await recoverSigner(digest, parts)) === signer) return true
  const call = encodeFunctionData({
    abi: signerAbi,
    functionName: 'isValidSignature',
    args: [digest, signature],
  })
  const [answer] = await chain.rpc.send([toCall({ to: signer, data: call, gas: askedGas }, 'latest')])
  if (isUnread(answer)) throw unread()
  return returned(answer)?.toLowerCase() === isValid
}

/** Whether a call failed that no contract has made fail: it says nothing of what was asked. */
function isUnread(answer: RpcAnswer | undefined): boolean {
  return answer?.error !== undefined && !isRevert(answer.error)
}

function unread(): RpcUnavailable {
  return new RpcUnavailable('What the chain says of a delegated subscription could not be read.')
}

import {
  type Address,
  BaseError,
  type Hex,
  InsufficientFundsError,
  keccak256,
  type PublicClient,
  RpcRequestError,
} from 'viem'
import { saidOf, unanswered } from '../chain-error.ts'
import { InfernetError } from '../error.ts'
import { revertData, reverted } from './reverts.ts'

type From = { host: string; address: Address }

/** Why a transaction did not go out. What a chain says no with is told; what is silent cannot be asked. */
export function notSent(cause: unknown, { host, address }: From): InfernetError {
  const data = revertData(cause)
  if (data !== undefined) return reverted(data, null, cause)
  if (!(cause instanceof BaseError)) return refusedBy('The wallet did not sign', 'not_signed', cause)
  if (isUnpaid(cause)) return refusedBy(`${address} has not enough to pay for it`, 'not_sent', cause)
  if (cause.walk(inner => inner instanceof RpcRequestError) !== null)
    return refusedBy(`The chain does not take the transaction: ${saidOf(cause)}`, 'not_sent', cause)
  return isRejection(cause)
    ? refusedBy('The wallet did not sign', 'not_signed', cause)
    : unanswered(host, cause)
}

/**
 * Sends what is signed. That it did not answer says nothing: the chain may have it; and what is sent once more, since an answer was lost on
 * the way, is refused.
 * @throws InfernetError with its `hash` when the chain says no, and does not have it.
 */
export async function broadcast(client: PublicClient, signed: Hex, from: From): Promise<Hex> {
  const hash = keccak256(signed)
  try {
    await client.sendRawTransaction({ serializedTransaction: signed })
    return hash
  } catch (cause) {
    const { message, code, params } = notSent(cause, from)
    if (code === 'bad_answer' || (await isThere(client, hash))) return hash
    throw new InfernetError(message, { status: null, code, params: { ...params, hash }, cause })
  }
}

async function isThere(client: PublicClient, hash: Hex): Promise<boolean> {
  return await client.getTransaction({ hash }).then(
    () => true,
    () => false,
  )
}

function isUnpaid(cause: BaseError): boolean {
  return (
    cause.walk(inner => inner instanceof InsufficientFundsError) !== null ||
    /insufficient funds|gas required exceeds allowance/i.test(saidOf(cause))
  )
}

/** EIP-1193: the user said no. */
function isRejection(cause: BaseError): boolean {
  return (
    cause.walk(inner => 'code' in (inner as object) && (inner as { code: unknown }).code === 4001) !== null
  )
}

function refusedBy(message: string, code: 'not_sent' | 'not_signed', cause: unknown): InfernetError {
  return new InfernetError(message, { status: null, code, cause })
}

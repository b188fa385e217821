import { type Address, encodeFunctionData, getAbiItem, type Hex, toFunctionSelector } from 'viem'
import { delegatorAbi } from '../../../protocol/abi/delegator.ts'
import { eip712CoordinatorAbi } from '../../../protocol/abi/eip712-coordinator.ts'
import { delegationKey, type OnchainSubscription } from '../../../protocol/delegation.ts'
import { type BlockTag, toCall } from '../call.ts'
import type { Chain, Contracts, Subscription } from '../chain.ts'
import type { RpcCall } from '../rpc.ts'
import type { Delivered } from '../simulate.ts'
import type { Signed } from './signed.ts'

type At = { contracts: Pick<Contracts, 'coordinator'>; at: BlockTag }
type Terms = Omit<Subscription, 'id' | 'expiresAt' | 'maxFee' | 'prepaid' | 'committed'>

/** Asks for what was created under an owner's nonce; 0: nothing. */
export function createdIdCall(
  { owner, nonce }: { owner: Address; nonce: number },
  { contracts, at }: At,
): RpcCall {
  const data = encodeFunctionData({
    abi: eip712CoordinatorAbi,
    functionName: 'delegateCreatedIds',
    args: [delegationKey(owner, nonce)],
  })
  return toCall({ to: contracts.coordinator, data }, at)
}

/** Asks for the highest nonce under which something was created for an owner; 0: none, or 0. */
export function highestNonceCall(owner: Address, { contracts, at }: At): RpcCall {
  const data = encodeFunctionData({
    abi: eip712CoordinatorAbi,
    functionName: 'maxSubscriberNonce',
    args: [owner],
  })
  return toCall({ to: contracts.coordinator, data }, at)
}
/** As much as a consumer, or a contract that signs for it, may take to answer a question. */
export const askedGas = 500_000n

/** Asks a consumer whose signature counts. */
export function signerCall(owner: Address, at: BlockTag): RpcCall {
  return toCall(
    { to: owner, data: encodeFunctionData({ abi: delegatorAbi, functionName: 'getSigner' }), gas: askedGas },
    at,
  )
}

/** Tries to create it: what the coordinator says of signature, signer, expiry and nonce. */
export function creationCall(
  { subscription, signed }: { subscription: Terms; signed: Signed },
  { contracts, at, chain }: At & { chain: Pick<Chain, 'config' | 'signer'> },
): RpcCall {
  const { nonce, expiry, v, r, s } = signed
  const data = encodeFunctionData({
    abi: eip712CoordinatorAbi,
    functionName: 'createSubscriptionDelegatee',
    args: [nonce, expiry, toSub(subscription), v, r, s],
  })
  // It asks the consumer who signs for it, which may burn what there is.
  const gas = BigInt(chain.config.gas.maxGasLimit)
  return toCall({ from: chain.signer.address, to: contracts.coordinator, data, gas }, at)
}

/** Call data of `deliverComputeDelegatee`: creates it, unless somebody has, and answers it. */
export function delegatedDeliverCall(
  { subscription, signed }: { subscription: Terms; signed: Signed },
  { interval, input, output, proof, nodeWallet }: Omit<Delivered, 'subscription'>,
): Hex {
  const { nonce, expiry, v, r, s } = signed
  return encodeFunctionData({
    abi: eip712CoordinatorAbi,
    functionName: 'deliverComputeDelegatee',
    args: [nonce, expiry, toSub(subscription), v, r, s, interval, input, output, proof, nodeWallet],
  })
}

/** What `delegatedDeliverCall` begins with. */
export const delegatedDeliverSelector = toFunctionSelector(
  getAbiItem({ abi: eip712CoordinatorAbi, name: 'deliverComputeDelegatee' }),
)

export function toSub(subscription: Terms): OnchainSubscription {
  const { owner, activeAt, period, frequency, redundancy, containerId, lazy } = subscription
  const { verifier, paymentAmount, paymentToken, wallet } = subscription
  return {
    owner,
    activeAt,
    period,
    frequency,
    redundancy,
    containerId,
    lazy,
    verifier,
    paymentAmount,
    paymentToken,
    wallet,
  }
}

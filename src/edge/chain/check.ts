import { type Address, encodeFunctionData, isHex, numberToHex, zeroAddress } from 'viem'
import { eip712CoordinatorAbi } from '../../protocol/abi/eip712-coordinator.ts'
import { feeAbi } from '../../protocol/abi/fee.ts'
import { readerAbi } from '../../protocol/abi/reader.ts'
import { registryAbi } from '../../protocol/abi/registry.ts'
import { addressOf, returned, toCall } from './call.ts'
import type { Chain, Contracts } from './chain.ts'
import { isToldTooLate, tooLateCall } from './guard/bounds.ts'
import { quantity } from './head-told.ts'
import { type RpcAnswer, type RpcCall, RpcUnavailable } from './rpc.ts'

export type Checked = { contracts: Contracts } | { problem: string }

const named = ['COORDINATOR', 'READER', 'INBOX', 'WALLET_FACTORY'] as const

/**
 * Whether a chain is the one that is configured, and has our contracts; which ones, and what they can do. Two HTTP requests.
 * @throws RpcUnavailable
 */
export async function checkChain({ config, rpc }: Pick<Chain, 'config' | 'rpc'>): Promise<Checked> {
  const { id, registry } = config
  const [chain, registryCode, feeName, ...names] = await rpc.send([
    { method: 'eth_chainId', params: [] },
    codeAt(registry),
    toCall({ to: registry, data: encodeFunctionData({ abi: registryAbi, functionName: 'FEE' }) }, 'latest'),
    ...named.map(functionName =>
      toCall({ to: registry, data: encodeFunctionData({ abi: registryAbi, functionName }) }, 'latest'),
    ),
  ])
  const told = quantity(chain?.result)
  if (told !== id) return { problem: `The chain's id is ${told ?? 'not told'}, not ${id}.` }
  if (!hasCode(registryCode))
    return { problem: `There is no contract at the registry's address ${registry}.` }
  const addresses = names.map(addressOf)
  const unnamed = named.filter((_, index) => addresses[index] === null)
  if (unnamed.length > 0)
    return { problem: `The contract at ${registry} is no registry: it has no ${unnamed.join(', ')}.` }
  const [coordinator, reader, inbox, walletFactory] = addresses.map(address => address ?? zeroAddress) as [
    Address,
    Address,
    Address,
    Address,
  ]
  if (feeName?.error?.isUnclear) throw untold()
  const fee = addressOf(feeName)
  return await checkContracts(rpc, { registry, coordinator, reader, inbox, walletFactory, fee })
}

async function checkContracts(
  rpc: Chain['rpc'],
  contracts: Omit<Contracts, 'features' | 'feeRecipient'>,
): Promise<Checked> {
  const { registry, coordinator, reader, inbox, walletFactory } = contracts
  const addresses = [coordinator, reader, inbox, walletFactory]
  const [nextId, status, batch, bounded, recipient, ...codes] = await rpc.send([
    toCall(
      { to: coordinator, data: encodeFunctionData({ abi: eip712CoordinatorAbi, functionName: 'id' }) },
      'latest',
    ),
    toCall({ to: reader, data: emptyPage }, 'latest'),
    toCall({ to: coordinator, data: emptyBatch }, 'latest'),
    toCall({ to: coordinator, data: tooLateCall }, 'latest'),
    toCall(
      {
        to: contracts.fee ?? zeroAddress,
        data: encodeFunctionData({ abi: feeAbi, functionName: 'FEE_RECIPIENT' }),
      },
      'latest',
    ),
    ...addresses.map(codeAt),
  ])
  const missing = named.filter((_, index) => !hasCode(codes[index]))
  if (missing.length > 0)
    return {
      problem: `The registry ${registry} names addresses without a contract: ${missing
        .map(name => `${name} ${addresses[named.indexOf(name)]}`)
        .join(', ')}.`,
    }
  if (returned(nextId) === null)
    return { problem: `The contract at ${coordinator} is no coordinator: it has no id().` }
  if (bounded?.error?.isUnclear || recipient?.error?.isUnclear) throw untold()
  const features = {
    status: hasFunction(status),
    batch: hasFunction(batch),
    bounded: isToldTooLate(bounded),
  }
  return { contracts: { ...contracts, feeRecipient: addressOf(recipient), features } }
}

const emptyPage = encodeFunctionData({
  abi: readerAbi,
  functionName: 'readStatusBatch',
  args: [1, 1, zeroAddress, 0],
})
const emptyBatch = encodeFunctionData({
  abi: eip712CoordinatorAbi,
  functionName: 'deliverComputeBatch',
  args: [[]],
})

function codeAt(address: Address): RpcCall {
  return { method: 'eth_getCode', params: [address, 'latest'] }
}

function hasCode(answer: RpcAnswer | undefined): boolean {
  return isHex(answer?.result) && answer.result !== '0x'
}

/**
 * Whether a contract that is there knows a function, as its answer to a call with nothing in it tells.
 * @throws RpcUnavailable when it tells nothing at all: that is an endpoint's word, and would be believed for as long as this process lives.
 */
function hasFunction(answer: RpcAnswer | undefined): boolean {
  if (answer?.result === '0x' || answer?.error?.isUnclear) throw untold()
  return isEmptyList(answer)
}

function untold(): RpcUnavailable {
  return new RpcUnavailable('It is not told what the contracts can do.')
}

/** A contract with a fallback could answer anything. */
function isEmptyList(answer: RpcAnswer | undefined): boolean {
  return (
    returned(answer)?.toLowerCase() ===
    `0x${[32, 0].map(word => numberToHex(word, { size: 32 }).slice(2)).join('')}`
  )
}

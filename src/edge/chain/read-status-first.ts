import {
  type Address,
  decodeFunctionResult,
  encodeFunctionData,
  type Hex,
  hexToBigInt,
  size as sizeOf,
  slice,
  zeroAddress,
} from 'viem'
import { iConsumerAbi } from '../../protocol/abi/iconsumer.ts'
import { readerAbi } from '../../protocol/abi/reader.ts'
import { returned, toCall, toWord } from './call.ts'
import type { Status, Subscription } from './chain.ts'
import { countCalls } from './count-calls.ts'
import { decoded } from './decode.ts'
import { intervalAt } from './interval.ts'
import { anchorCall } from './next-id.ts'
import { readPages } from './read-pages.ts'
import { readWallets } from './read-wallets.ts'
import { isUnasked, type RpcAnswer, type RpcCall } from './rpc.ts'
import { sendApart } from './send-apart.ts'
import { isWanted, maxInputBytes, type SizedQuestion, type SizedStatuses } from './status.ts'
import { noTerms, toSubscription } from './subscription.ts'

/** As much as our Reader gives to a consumer, and what the call itself takes. */
const inputGas = 3_050_000n
/** Inputs asked for in one request: with that gas each may be 2.4 MB of JSON. */
const inputsAtOnce = 6

type Counted = Omit<Status, 'wallet' | 'input'>

/** What our Reader tells, of the contracts of the first deployments: in phases, each of which asks for everything at once. */
export async function readFirstStatuses(question: SizedQuestion): Promise<SizedStatuses> {
  const { subscriptions, failed, unasked, halved } = await readSubscriptions(question)
  const counted = await readCounts(question, subscriptions)
  const all = counted.filter(status => status !== null)
  const paying = await readWallets(question, subscriptions)
  const given = await readInputs(question, all)
  const without = new Set([...unasked, ...paying.unasked, ...given.unasked])
  const statuses = new Map(
    all
      .filter(({ subscription }) => !without.has(subscription.id))
      .map((status): [number, Status] => {
        const { id } = status.subscription
        return [
          id,
          { ...status, wallet: paying.wallets.get(id) ?? null, input: given.inputs.get(id) ?? null },
        ]
      }),
  )
  const uncounted = subscriptions.map(({ id }) => id).filter((_, index) => counted[index] === null)
  return { statuses, failed: [...failed, ...uncounted], unasked: [...without], halved }
}

async function readSubscriptions({ chain, contracts, ids, block, size, end = 0 }: SizedQuestion) {
  const { items, failed, unasked, halved } = await readPages({
    rpc: chain.rpc,
    ids,
    size,
    pagesAtOnce: 48,
    toCall({ start, end }) {
      const data = encodeFunctionData({
        abi: readerAbi,
        functionName: 'readSubscriptionBatch',
        args: [start, end],
      })
      return toCall({ to: contracts.reader, data }, block.number)
    },
    decode: data =>
      decoded(data, data =>
        decodeFunctionResult({ abi: readerAbi, functionName: 'readSubscriptionBatch', data }),
      ),
    isLikely: ({ owner }, id) => id >= end || owner !== zeroAddress,
  })
  const subscriptions = [...items]
    .filter(([, { owner }]) => owner !== zeroAddress)
    .map(([id, told]) => toSubscription(id, told, noTerms))
  return { subscriptions, failed, unasked, halved }
}

/** Null: it is not told. */
async function readCounts(
  question: SizedQuestion,
  subscriptions: readonly Subscription[],
): Promise<(Counted | null)[]> {
  const { chain, contracts, block } = question
  const open = subscriptions
    .map(subscription => ({ subscription, interval: intervalAt(subscription, block.time) }))
    .filter(({ interval }) => interval > 0)
  const answers = await chain.rpc.send(
    open.flatMap(({ subscription, interval }) =>
      countCalls({ chain, contracts, at: block.number }, { id: subscription.id, interval }),
    ),
    // Zeros are what most of them are: who says so has to have the block.
    anchorCall(contracts, { at: block.number, ids: open.map(({ subscription }) => subscription.id) }),
  )
  const told = new Map(
    open.map(({ subscription, interval }, index): [number, Counted | null] => {
      const count = toWord(answers[2 * index])
      const responded = toWord(answers[2 * index + 1])
      if (count === null || responded === null) return [subscription.id, null]
      return [subscription.id, { subscription, interval, count: Number(count), responded: responded !== 0n }]
    }),
  )
  return subscriptions.map(subscription => {
    const counted = told.get(subscription.id)
    return counted === undefined ? { subscription, interval: 0, count: 0, responded: false } : counted
  })
}

/** Of those that are still to be answered. `unasked`: ids that there was no time for. */
async function readInputs(
  { chain, block }: SizedQuestion,
  all: readonly Counted[],
): Promise<{ inputs: Map<number, Hex>; unasked: ReadonlySet<number> }> {
  const wanted = all.filter(isWanted)
  const answers = await sendApart(
    chain.rpc,
    wanted.map(({ subscription, interval }) =>
      inputCall(subscription, { interval, node: chain.signer.address, block }),
    ),
    { sizes: [inputsAtOnce, 1, 1] },
  )
  const ids = wanted.map(({ subscription }) => subscription.id)
  const inputs = ids.flatMap((id, index): [number, Hex][] => {
    const input = toInput(answers[index])
    return input === null ? [] : [[id, input]]
  })
  const unasked = ids.filter((_, index) => isUnasked(answers[index]))
  return { inputs: new Map(inputs), unasked: new Set(unasked) }
}

function inputCall(
  { id, owner }: Subscription,
  { interval, node, block }: { interval: number; node: Address; block: SizedQuestion['block'] },
): RpcCall {
  const data = encodeFunctionData({
    abi: iConsumerAbi,
    functionName: 'getContainerInputs',
    args: [id, interval, block.time % 2 ** 32, node],
  })
  return toCall({ to: owner, data, gas: inputGas }, block.number)
}

/** A consumer may answer with anything: what is not one byte string, as the compiler writes it, is no input. Our Reader judges the same. */
function toInput(answer: RpcAnswer | undefined): Hex | null {
  const data = returned(answer)
  const bytes = data === null ? 0 : sizeOf(data)
  if (data === null || bytes < 64 || bytes > 64 + maxInputBytes) return null
  const length = hexToBigInt(slice(data, 32, 64))
  if (hexToBigInt(slice(data, 0, 32)) !== 32n || length > BigInt(bytes - 64)) return null
  return length === 0n ? '0x' : slice(data, 64, 64 + Number(length))
}

import { type ContractFunctionReturnType, decodeFunctionResult, encodeFunctionData, zeroAddress } from 'viem'
import { readerAbi } from '../../protocol/abi/reader.ts'
import { walletFactoryAbi } from '../../protocol/abi/wallet-factory.ts'
import { toCall, toWord } from './call.ts'
import type { Status } from './chain.ts'
import { decoded } from './decode.ts'
import { type PagesRead, readPages } from './read-pages.ts'
import { isWanted, maxInputBytes, type SizedQuestion, type SizedStatuses } from './status.ts'
import { toSubscription } from './subscription.ts'

type Told = ContractFunctionReturnType<typeof readerAbi, 'view', 'readStatusBatch'>[number]

/** What most nodes give at most. A page of inputs that takes all of it for memory is some 5 MiB of JSON: three fit into an answer. */
const pageGas = 50_000_000n
const pagesAtOnce = 3
/** As many inputs fit into an answer, whatever the gas. */
const idsAtOnce = 110

/** Everything at once, where the Reader can. */
export async function readReaderStatuses(question: SizedQuestion): Promise<SizedStatuses> {
  const { ids, size } = question
  const read = await readTold(question, { ids, size })
  // A neighbour on the page may have burnt the gas that an input would have taken.
  const silent = size === 1 ? [] : [...read.items].filter(([, told]) => isSilent(told)).map(([id]) => id)
  const alone = await readTold(question, { ids: silent, size: 1 })
  const unasked = new Set([...read.unasked, ...alone.unasked])
  const told = new Map([...read.items, ...alone.items].filter(([id]) => !unasked.has(id)))
  const strangers = await strangersOf(question, [...told.values()])
  const statuses = new Map(
    [...told]
      .filter(([, { subscription }]) => subscription.owner !== zeroAddress)
      .map(([id, one]) => [id, toStatus(one, strangers)]),
  )
  return { statuses, failed: read.failed, unasked: [...unasked], halved: read.halved }
}

async function readTold(
  { chain, contracts, block, end = 0 }: SizedQuestion,
  { ids, size }: { ids: readonly number[]; size: number },
): Promise<PagesRead<Told>> {
  return await readPages<Told>({
    rpc: chain.rpc,
    ids,
    size,
    pagesAtOnce: Math.max(pagesAtOnce, Math.floor(idsAtOnce / size)),
    toCall({ start, end }) {
      const data = encodeFunctionData({
        abi: readerAbi,
        functionName: 'readStatusBatch',
        args: [start, end, chain.signer.address, maxInputBytes],
      })
      return toCall({ to: contracts.reader, data, gas: pageGas }, block.number)
    },
    decode: data =>
      decoded(data, data => decodeFunctionResult({ abi: readerAbi, functionName: 'readStatusBatch', data })),
    isLikely: ({ subscription }, id) => id >= end || subscription.owner !== zeroAddress,
  })
}

function isSilent(told: Told): boolean {
  return !told.hasInput && isWanted(told)
}

/** Wallets that are not the factory's. The Reader says of them that they are empty, and of empty ones that they are. */
async function strangersOf(
  { chain, contracts, block }: SizedQuestion,
  all: readonly Told[],
): Promise<ReadonlySet<string>> {
  const empty = all.filter(
    ({ subscription, funds, allowance }) => subscription.paymentAmount > 0n && funds + allowance === 0n,
  )
  const wallets = [...new Set(empty.map(({ subscription }) => subscription.wallet))]
  const answers = await chain.rpc.send(
    wallets.map(wallet =>
      toCall(
        {
          to: contracts.walletFactory,
          data: encodeFunctionData({ abi: walletFactoryAbi, functionName: 'isValidWallet', args: [wallet] }),
        },
        block.number,
      ),
    ),
  )
  return new Set(wallets.filter((_, index) => toWord(answers[index]) !== 1n))
}

function toStatus(told: Told, strangers: ReadonlySet<string>): Status {
  const { id, subscription, terms, interval, count, responded, funds, allowance, prepayment } = told
  const pays = subscription.paymentAmount > 0n && !strangers.has(subscription.wallet)
  return {
    subscription: toSubscription(id, subscription, terms),
    interval,
    count,
    responded,
    wallet: pays ? { funds, allowance, prepayment } : null,
    input: told.hasInput && isWanted(told) ? told.input : null,
  }
}

import type { Hex } from 'viem'
import { blockCall, toBlock } from './block.ts'
import type { Block, Chain, Contracts } from './chain.ts'
import { nextIdCall, nextIdOf } from './next-id.ts'
import { type RpcAnswer, type RpcCall, RpcUnavailable } from './rpc.ts'

/**
 * Where a chain stands. `latest`: its newest block; `block`: the one that is believed. `nextId`: the next subscription's, at the block that
 * is believed or, by a hair, later. `knownHash`: of the block that is now where `known` was; null: there is none. `extra`: what else was asked.
 */
export type Head = {
  latest: Block
  block: Block
  nextId: number
  knownHash: Hex | null
  extra: RpcAnswer[]
}

type From = Pick<Chain, 'config' | 'rpc'>

/**
 * Reads it in one HTTP request. With a trail, in one more if the believed block is neither `known` nor the one after.
 * @throws RpcUnavailable
 */
export async function readHead(
  chain: From,
  contracts: Pick<Contracts, 'coordinator'>,
  known: Block | null,
  extra: readonly RpcCall[] = [],
): Promise<Head> {
  const { confidence, trailHeadBlocks } = chain.config
  const question = { contracts, known, extra }
  if (trailHeadBlocks > 0) return await readTrailed(chain, question)
  const isNewest = confidence === 'latest'
  const [newest, nextId, ...answers] = await chain.rpc.send([
    blockCall('latest'),
    nextIdCall(contracts, confidence),
    ...(isNewest ? [] : [blockCall(confidence)]),
    ...common(question),
  ])
  const latest = present(toBlock(newest))
  const block = isNewest ? latest : present(toBlock(answers.shift()))
  return { latest, block, nextId: nextIdOf(nextId), ...commonOf(answers, question) }
}

type Question = {
  contracts: Pick<Contracts, 'coordinator'>
  known: Block | null
  extra: readonly RpcCall[]
}

/** What is guessed may be beyond a chain that has become shorter, and then nobody can answer: it is read without a guess. */
async function readTrailed(chain: From, question: Question): Promise<Head> {
  const { known } = question
  if (known === null) return await readAsked(chain, question)
  try {
    return await readGuessed(chain, { ...question, guess: known.number + 1 })
  } catch (error) {
    if (error instanceof RpcUnavailable) return await readAsked(chain, question)
    throw error
  }
}

async function readGuessed(chain: From, question: Question & { guess: number }): Promise<Head> {
  const { contracts, known, guess } = question
  const answers = await chain.rpc.send([
    blockCall('latest'),
    blockCall(guess),
    nextIdCall(contracts, guess),
    ...common(question),
  ])
  const latest = present(toBlock(answers[0]))
  const rest = commonOf(answers.slice(3), question)
  const number = trailedBy(chain, latest)
  const guessed = toBlock(answers[1])
  if (number === guess && guessed !== null)
    return { latest, block: guessed, nextId: nextIdOf(answers[2]), ...rest }
  const there = known === null ? null : toBlock(answers[3])
  if (number === known?.number && there !== null)
    return { latest, block: there, nextId: nextIdOf(answers[2]), ...rest }
  return { latest, ...(await readAt(chain, { contracts, number })), ...rest }
}

async function readAsked(chain: From, question: Question): Promise<Head> {
  const answers = await chain.rpc.send([blockCall('latest'), ...common(question)])
  const latest = present(toBlock(answers[0]))
  const number = trailedBy(chain, latest)
  const believed = await readAt(chain, { contracts: question.contracts, number })
  return { latest, ...believed, ...commonOf(answers.slice(1), question) }
}

async function readAt(
  { rpc }: From,
  { contracts, number }: { contracts: Question['contracts']; number: number },
): Promise<Pick<Head, 'block' | 'nextId'>> {
  const answers = await rpc.send([blockCall(number), nextIdCall(contracts, number)])
  return { block: present(toBlock(answers[0])), nextId: nextIdOf(answers[1]) }
}

function trailedBy({ config }: From, { number }: Block): number {
  return Math.max(0, number - config.trailHeadBlocks)
}

/** What is asked in any case. */
function common({ known, extra }: Question): RpcCall[] {
  return [...(known === null ? [] : [blockCall(known.number)]), ...extra]
}

function commonOf(answers: readonly RpcAnswer[], { known }: Question): Pick<Head, 'knownHash' | 'extra'> {
  if (known === null) return { knownHash: null, extra: [...answers] }
  return { knownHash: toBlock(answers[0])?.hash ?? null, extra: answers.slice(1) }
}

function present(block: Block | null): Block {
  if (block === null) throw new RpcUnavailable('A block that has to be there is not.')
  return block
}

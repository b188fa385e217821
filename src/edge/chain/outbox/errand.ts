import { type SQL, sql } from 'drizzle-orm'
import { type Address, type Hex, hexToBigInt, numberToHex } from 'viem'
import { returned, toParam } from '../call.ts'
import type { GasPolicy } from '../chain.ts'
import { anchorCall } from '../next-id.ts'
import type { RpcAnswer, RpcCall, RpcError } from '../rpc.ts'
import { sendApart } from '../send-apart.ts'
import type { Step } from '../step.ts'
import { nextNonce } from './allocate.ts'
import { broadcast, type Sending } from './broadcast.ts'
import { type Fees, offer } from './fees.ts'
import { marketCalls, readMarket } from './market.ts'
import { readOpen } from './open.ts'
import { sign, storeSigned } from './signed.ts'
import { isUnpaid } from './unpaid.ts'

/** A transaction of the node's own: no answer is in it. */
export type Errand = {
  kind: 'approve' | 'finalize'
  to: Address
  data: Hex
  /** Nothing is sent unless it holds when the nonce is taken: that nobody has sent it. */
  guard: SQL
  /** What is written with it. `id`: the transaction's; `isOurs`: that it was stored. */
  mark?(stored: { id: string; isOurs: SQL }): SQL
}

/** `sent`: it is on its way. `held`: the signer, the market or another transaction is in the way, or somebody else sends it. Else why it would fail. */
export type Errandry =
  | { kind: 'sent' }
  | { kind: 'held'; problem: string }
  | { kind: 'failed'; error: RpcError }

/** Somebody has sent it. */
export const onItsWay = 'It is on its way already'

/** Of an estimate: what comes before it in the block may make it dearer. */
const margin = 1.3
/** What an estimate may use, as often as what may be sent. */
const triedGas = 2
/** Others that take nonces of the same signer win a race each. */
const maxRaces = 4

/**
 * Sends transactions that stand each for itself, as answers are sent: simulated first, so that what would fail takes no nonce; then signed,
 * written down and given to every endpoint. Who confirms answers looks after them.
 * @returns what has become of each, in their order.
 */
export async function sendErrands(step: Step, errands: readonly Errand[]): Promise<Errandry[]> {
  if (errands.length === 0) return []
  const { db, chain, contracts, latest } = step
  const { config, signer, rpc } = chain
  const [open, answers] = await Promise.all([
    readOpen(db, { chain: config.id, signer: signer.address }),
    // A token has a part in it, and may burn what gas there is.
    sendApart(rpc, [...marketCalls(step), ...errands.map(errand => estimateCall(step, errand))], {
      anchor: anchorCall(contracts, { at: latest.number, ids: [] }),
    }),
  ])
  const { market, rest } = readMarket(step, answers)
  const spent = open.reduce((sum, { gas, fees }) => sum + BigInt(gas) * fees.maxFeePerGas, 0n)
  const till: Till = {
    fees: offer(config.gas, market),
    first: market.nonce,
    left: market.balance - spent,
    room: config.gas.maxInFlight - open.length,
    isStuck: open.some(({ state }) => state === 'signed'),
    sendings: [],
  }
  const outcomes: Errandry[] = []
  for (const [index, errand] of errands.entries())
    outcomes.push(await sendOne(step, { errand, answer: rest[index], till }))
  await broadcast(step, till.sendings)
  return outcomes
}

/** What there is to send with. `left`: wei; `room`: transactions that may be on their way beside. */
type Till = {
  fees: Fees | null
  first: number
  left: bigint
  room: number
  isStuck: boolean
  sendings: Sending[]
}

/** `answer`: what it was estimated as. */
async function sendOne(
  step: Step,
  { errand, answer, till }: { errand: Errand; answer: RpcAnswer | undefined; till: Till },
): Promise<Errandry> {
  const { chain, log } = step
  if (isUnpaid(answer)) return { kind: 'held', problem: poor }
  const gas = gasOf(answer)
  if (gas === null) return { kind: 'failed', error: answer?.error ?? unclear }
  const { fees, first } = till
  const problem = obstacleTo(gas, till, chain.config.gas)
  if (problem !== null || fees === null) return { kind: 'held', problem: problem ?? dear }
  const allocated = await allocate(step, { errand, gas, fees, first })
  if (allocated === null) return { kind: 'held', problem: onItsWay }
  till.left -= BigInt(gas) * fees.maxFeePerGas
  till.room -= 1
  till.sendings.push(allocated)
  const { nonce, hash } = allocated
  log.info('Errand signed', { chain: chain.config.id, kind: errand.kind, to: errand.to, nonce, hash })
  return { kind: 'sent' }
}

const poor = 'The signer cannot pay for the gas'
const dear = 'The market asks more for gas than gas.max_fee_gwei'
const unclear: RpcError = { code: -32_000, message: 'No endpoint tells what it takes', isUnclear: true }

function estimateCall({ chain, latest }: Step, { to, data }: Errand): RpcCall {
  const gas = numberToHex(triedGas * chain.config.gas.maxGasLimit)
  return {
    method: 'eth_estimateGas',
    params: [{ from: chain.signer.address, to, data, gas }, toParam(latest.number)],
  }
}

function gasOf(answer: RpcAnswer | undefined): number | null {
  const told = returned(answer)
  return told === null ? null : Math.ceil(Number(hexToBigInt(told)) * margin)
}

function obstacleTo(
  gas: number,
  { fees, left, room, isStuck }: Till,
  { maxGasLimit }: GasPolicy,
): string | null {
  if (isStuck) return 'A transaction before it was not taken by any endpoint'
  if (fees === null) return dear
  if (BigInt(gas) * fees.maxFeePerGas > left) return poor
  if (room <= 0) return 'gas.max_in_flight transactions are on their way'
  return gas > maxGasLimit ? 'It takes more gas than gas.max_gas_limit' : null
}

/** @returns null when its guard does not hold any more, or others take all nonces. */
async function allocate(
  step: Step,
  { errand, gas, fees, first }: { errand: Errand; gas: number; fees: Fees; first: number },
): Promise<Sending | null> {
  for (let race = 0; race < maxRaces; race++) {
    // Before it is signed: keys may lie elsewhere.
    const held = await step.db.orm.all(sql`select 1 where ${errand.guard}`)
    const nonce = held.length === 0 ? null : await nextNonce(step, first)
    if (nonce === null) return null
    const taken = await take(step, { errand, gas, fees, nonce })
    if (taken !== null) return taken
  }
  return null
}

async function take(
  step: Step,
  { errand, gas, fees, nonce }: { errand: Errand; gas: number; fees: Fees; nonce: number },
): Promise<Sending | null> {
  const { orm } = step.db
  const { kind, to, data, guard, mark } = errand
  const signed = await sign(step, { kind, nonce, to, data, gas, fees })
  const [stored] = await orm.batch([
    ...storeSigned(step, signed, guard),
    ...(mark ? [orm.run(mark({ id: signed.id, isOurs: signed.isStored }))] : []),
  ])
  return stored.length === 1 ? signed : null
}

import { type Address, encodeEventTopics, numberToHex } from 'viem'
import { eip712CoordinatorAbi } from '../../../protocol/abi/eip712-coordinator.ts'
import { atOnce } from '../at-once.ts'
import { anchorCall } from '../next-id.ts'
import { type RpcAnswer, type RpcCall, RpcUnavailable } from '../rpc.ts'
import type { Step } from '../step.ts'
import type { Proof } from './proof.ts'
import { type Placed, placedOf } from './verdict.ts'

/** `until`: the last block that was looked through; `isKnown`: that far all was told. */
export type Searched = { proof: Proof; verdict: Placed | null; until: number; isKnown: boolean }

/** Blocks whose logs most endpoints give at once. */
const blocksPerCall = 500
const callsPerProof = 2
const requestsAtOnce = 4
/** What is said of a proof whose logs were all looked through. */
export const vain = 'No log tells of its verdict'
const nothingTold = 'tells no verdict on a proof that does not wait'

/**
 * Looks through logs for verdicts on proofs that wait no longer, from where each was last seen to wait: a part of what is long ago. What was looked
 * through in vain is asked for by itself, a part at a time: else an endpoint would have to have the logs of all that is asked along with it.
 */
export async function searchVerdicts(step: Step, proofs: readonly Proof[]): Promise<Searched[]> {
  const again = proofs.filter(isVain)
  const alone = await atOnce(again, { limit: requestsAtOnce, work: proof => search(step, [proof]) })
  return [
    ...(await search(
      step,
      proofs.filter(proof => !isVain(proof)),
    )),
    ...alone.flat(),
  ]
}

/** Endpoints that refuse logs are no reason not to go on with everything else. */
async function search(step: Step, proofs: readonly Proof[]): Promise<Searched[]> {
  if (proofs.length === 0) return []
  const { chain, contracts, block } = step
  const asked = proofs.map(proof => ({ proof, ranges: rangesOf(proof, block.number) }))
  const calls = asked.flatMap(({ proof, ranges }) =>
    ranges.map(range => ({
      ...logsCall(step, proof, range),
      ...(isDoubtful(proof, range, block.number) && { doubt: doubtOf(step, proof) }),
    })),
  )
  const anchor = anchorCall(contracts, {
    at: block.number,
    ids: proofs.map(({ subscription }) => subscription),
  })
  const answers = await chain.rpc.send(calls, anchor).catch((error: unknown): RpcAnswer[] => {
    if (error instanceof RpcUnavailable) return []
    throw error
  })
  let first = 0
  return asked.map(({ proof, ranges }) => {
    const told = ranges.map((_, index) => toldOf(answers[first + index], contracts.coordinator))
    first += ranges.length
    const silent = told.indexOf(null)
    const known = silent === -1 ? told : told.slice(0, silent)
    return {
      proof,
      verdict: known.flatMap(placed => placed ?? []).findLast(each => isOn(each, proof)) ?? null,
      until: ranges[known.length - 1]?.to ?? fromOf(proof),
      isKnown: silent === -1,
    }
  })
}

/** Something has ended it since it waited: in this range, where that is all of them, and in one of them in any case. */
function isDoubtful(proof: Proof, { from, to }: Range, newest: number): boolean {
  return (from === proof.lookedBlock && to === newest) || isVain(proof)
}

/** Whether all logs were looked through at the last look, and had no verdict on it. */
export function isVain({ problem }: Pick<Proof, 'problem'>): boolean {
  return problem === vain
}

/** Another endpoint may have a log where this one has none. */
function doubtOf({ contracts }: Step, proof: Proof) {
  return (result: unknown) =>
    placedOf(result, contracts.coordinator)?.some(each => isOn(each, proof)) === false ? nothingTold : null
}

/** Where all doubt, nothing is what is told. */
function toldOf(answer: RpcAnswer | undefined, coordinator: Address): Placed[] | null {
  return answer?.error?.message === nothingTold ? [] : placedOf(answer?.result, coordinator)
}

/** An endpoint may tell more than it was asked for. */
function isOn({ subscription, interval, node }: Placed, proof: Proof): boolean {
  return (
    subscription === proof.subscription && interval === proof.interval && node === proof.node.toLowerCase()
  )
}

type Range = { from: number; to: number }

function fromOf({ lookedBlock, searchedBlock }: Proof): number {
  return searchedBlock ?? lookedBlock
}

function rangesOf(proof: Proof, newest: number): Range[] {
  const ranges: Range[] = []
  const most = isVain(proof) ? 1 : callsPerProof
  for (let from = fromOf(proof); from <= newest && ranges.length < most; from += blocksPerCall)
    ranges.push({ from, to: Math.min(newest, from + blocksPerCall - 1) })
  return ranges
}

function logsCall({ contracts }: Step, proof: Proof, { from, to }: Range): RpcCall {
  const { subscription: id, interval, node } = proof
  const topics = encodeEventTopics({
    abi: eip712CoordinatorAbi,
    eventName: 'ProofVerified',
    args: { id, interval, node },
  })
  const address = contracts.coordinator
  return {
    method: 'eth_getLogs',
    params: [{ address, topics, fromBlock: numberToHex(from), toBlock: numberToHex(to) }],
  }
}

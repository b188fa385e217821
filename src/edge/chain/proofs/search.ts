import { encodeEventTopics, numberToHex } from 'viem'
import { eip712CoordinatorAbi } from '../../../protocol/abi/eip712-coordinator.ts'
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

/**
 * Looks through logs for verdicts on proofs that wait no longer, from where each was last seen to wait: a part of what is long ago. Endpoints
 * that refuse that are no reason not to go on with everything else.
 */
export async function searchVerdicts(step: Step, proofs: readonly Proof[]): Promise<Searched[]> {
  if (proofs.length === 0) return []
  const { chain, contracts, block } = step
  const asked = proofs.map(proof => ({ proof, ranges: rangesOf(proof, block.number) }))
  const calls = asked.flatMap(({ proof, ranges }) => ranges.map(range => logsCall(step, proof, range)))
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
    const told = ranges.map((_, index) => placedOf(answers[first + index]?.result, contracts.coordinator))
    first += ranges.length
    const silent = told.indexOf(null)
    const known = silent === -1 ? told : told.slice(0, silent)
    return {
      proof,
      verdict: known.flatMap(placed => placed ?? []).findLast(each => isOn(each, proof)) ?? null,
      until: ranges[known.length - 1]?.to ?? proof.lookedBlock,
      isKnown: silent === -1,
    }
  })
}

/** An endpoint may tell more than it was asked for. */
function isOn({ subscription, interval, node }: Placed, proof: Proof): boolean {
  return (
    subscription === proof.subscription && interval === proof.interval && node === proof.node.toLowerCase()
  )
}

type Range = { from: number; to: number }

function rangesOf({ lookedBlock }: Proof, newest: number): Range[] {
  const ranges: Range[] = []
  for (let from = lookedBlock; from <= newest && ranges.length < callsPerProof; from += blocksPerCall)
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

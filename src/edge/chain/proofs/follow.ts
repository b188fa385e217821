import { anchorCall } from '../next-id.ts'
import { RpcUnavailable } from '../rpc.ts'
import type { Step } from '../step.ts'
import { finalizeProofs } from './finalize.ts'
import { type Kept, keepProofs } from './keep.ts'
import { readMisnoted } from './misnoted.ts'
import { type Proof, selectDueProofs } from './proof.ts'
import { type Request, refundsOf, requestCall, requestOf, termsCall } from './request.ts'
import { type Searched, searchVerdicts, vain } from './search.ts'
import { type Settled, settleProofs } from './settle.ts'
import { outcomeOf } from './verdict.ts'

/** What one look takes, and those of them that are gone: each may be searched for in many blocks. */
const maxDue = 96
const maxSearched = 10
/** Verdicts come when they come: half a minute after the answer, and then ever later, an hour at most. */
const firstSeconds = 30
const longestSeconds = 3_600
const untoldReceipt = 'The receipt does not tell of it'
const otherBlock = 'The journal has another block than its verdict is in'
/** An hour of looks, from a minute's half to half an hour: logs may come later than what they are of. */
const maxVain = 7
/** Of the coordinator: what has waited for so long without a verdict may be finalized. */
const windowSeconds = 7 * 86_400

/**
 * Looks at proofs that are due: what still waits is looked at again later, and at the end of its window at the latest; whose window is over is
 * finalized; on what waits no longer the verdict is looked up. Broken off anywhere, it is done again.
 * @returns `isLeft`: whether more are due. `isForked`: the journal has a block that is undone, be it below its top: it is to be rewound.
 * @throws RpcUnavailable
 */
export async function followProofs(step: Step): Promise<{ isLeft: boolean; isForked: boolean }> {
  const { db, chain, block } = step
  const due = await selectDueProofs(db, { chain: chain.config.id, time: block.time, limit: maxDue })
  if (due.length === 0) return { isLeft: false, isForked: false }
  // Blocks may share a second: the one that is believed may be before the answer's.
  const early = due.filter(({ lookedBlock }) => lookedBlock > block.number)
  const { waiting, over, gone, kept } = await sort(
    step,
    due.filter(proof => !early.includes(proof)),
  )
  const { further, isFurther, isForked } = await lookUp(step, gone)
  // What the coordinator tells of them is kept before anything is sent for them.
  const tooEarly = early.map(proof => ({ ...unchanged(proof), dueAt: block.time + 1 }))
  await keepProofs(step, [...tooEarly, ...kept, ...waiting, ...further])
  const finalizing = await finalizeProofs(step, over).catch((error: unknown) => {
    // It is no reason not to go on with everything else: they are due still.
    if (error instanceof RpcUnavailable) return []
    throw error
  })
  await keepProofs(
    step,
    finalizing.map(({ proof, problem, pause }) => ({
      ...unchanged(proof),
      dueAt: block.time + pause,
      problem,
    })),
  )
  return { isLeft: due.length === maxDue || isFurther, isForked }
}

type LookedUp = { further: Kept[]; isFurther: boolean; isForked: boolean }

/** Settles what is found. `isFurther`: more can be looked up at once. */
async function lookUp(step: Step, gone: readonly Proof[]): Promise<LookedUp> {
  const searched = await searchVerdicts(step, gone.slice(0, maxSearched))
  const found = searched.map(one => ({ one, settled: settledOf(step, one) }))
  const written = await settleProofs(
    step,
    found.flatMap(({ settled }) => settled ?? []),
  )
  for (const settled of written) tell(step, settled)
  const left = found.filter(({ settled }) => settled === null).map(({ one }) => one)
  // Else they would be the first at each look, and nothing else would be looked up.
  const unwritten = found.flatMap(({ one: { proof }, settled }) =>
    settled === null || written.has(settled) ? [] : [{ proof, settled }],
  )
  const misnoted = await readMisnoted(
    step,
    unwritten.map(({ settled }) => settled),
  )
  return {
    further: [
      ...left.map(one => furtherOn(step, one)),
      ...unwritten.map(({ proof, settled }) =>
        soonAgain(step, proof, misnoted.kept.has(settled) ? otherBlock : untoldReceipt),
      ),
    ],
    isForked: misnoted.isWrong,
    isFurther: gone.length > maxSearched || left.some(one => one.isKnown && !isThrough(step, one)),
  }
}

function tell({ log, chain }: Step, { subscription, interval, state, verdict }: Settled): void {
  const by = verdict?.by ?? null
  log.info('Proof settled', { chain: chain.config.id, subscription, interval, state, by })
}

type Sorted = { waiting: Kept[]; over: Proof[]; gone: Proof[]; kept: Kept[] }

async function sort(step: Step, proofs: readonly Proof[]): Promise<Sorted> {
  const { chain, contracts, block, latest } = step
  const sorted: Sorted = { waiting: [], over: [], gone: [], kept: [] }
  if (proofs.length === 0) return sorted
  const isNew = ({ expiresAt }: Proof) => expiresAt === null
  const asked = contracts.features.status ? proofs.filter(isNew) : []
  const answers = await chain.rpc.send(
    [...proofs.map(proof => requestCall(step, proof)), ...asked.map(proof => termsCall(step, proof))],
    anchorCall(contracts, { at: block.number, ids: proofs.map(({ subscription }) => subscription) }),
  )
  const terms = new Map(asked.map((proof, index) => [proof, refundsOf(answers[proofs.length + index])]))
  for (const [index, each] of proofs.entries()) {
    const request = requestOf(answers[index])
    const refunds = terms.has(each) ? terms.get(each) : each.refunds
    if (request === null || refunds == null) {
      sorted.kept.push({ ...later(step, each), problem: 'The coordinator does not tell of it' })
      continue
    }
    const proof = { ...each, refunds }
    if (request.expiry === 0) sorted.gone.push(proof)
    else {
      sorted.waiting.push(stillWaiting(step, { proof, request }))
      if (latest.time >= request.expiry) sorted.over.push(proof)
    }
  }
  return sorted
}

/** As it was, due as it was: until something else is written of it. */
function unchanged({ subscription, interval, looks, lookedBlock, searchedBlock }: Proof): Kept {
  return {
    subscription,
    interval,
    looks,
    lookedBlock,
    searchedBlock,
    dueAt: 0,
    expiresAt: null,
    payout: null,
    refunds: null,
    problem: null,
  }
}

function later({ block }: Step, proof: Proof): Kept {
  const pause = Math.min(firstSeconds * 2 ** proof.looks, longestSeconds)
  return { ...unchanged(proof), looks: proof.looks + 1, dueAt: block.time + pause }
}

function stillWaiting(step: Step, { proof, request }: { proof: Proof; request: Request }): Kept {
  const next = later(step, proof)
  return {
    ...next,
    lookedBlock: step.block.number,
    searchedBlock: null,
    dueAt: Math.min(next.dueAt, Math.max(request.expiry, step.block.time)),
    expiresAt: request.expiry,
    payout: request.payout,
    refunds: proof.refunds,
  }
}

/** What was found; with no verdict in any log, again and again, nobody tells. null: there is more to look through, or later. */
function settledOf(step: Step, searched: Searched): Settled | null {
  const { proof, verdict, isKnown } = searched
  const isOver =
    isThrough(step, searched) && vainLooks(proof) >= maxVain && windowEnd(step, proof) <= step.block.time
  if (verdict === null && !isOver && !(isLast(proof) && isKnown)) return null
  const { subscription, interval, refunds } = proof
  const state = verdict === null ? 'settled' : outcomeOf(verdict)
  return { subscription, interval, state, verdict, refunds }
}

function isThrough({ block }: Step, { until, isKnown }: Searched): boolean {
  return isKnown && until >= block.number
}

/** Looks at all logs that had no verdict. */
function vainLooks({ problem, looks }: Proof): number {
  return problem === vain ? looks : 0
}

/**
 * Whether it was put off to the end of its window: what no log tells may wait all the same, where endpoints were wrong, and is to be finalized then. If
 * they say the same, a part of the logs is looked through once more, from where it was last seen to wait, and not those of a week.
 */
function isLast(proof: Proof): boolean {
  return vainLooks(proof) > maxVain
}

/** Unix seconds of block time from which on it may be finalized; later, where it was never seen to wait. */
function windowEnd({ block }: Step, { expiresAt }: Proof): number {
  return expiresAt ?? block.time + windowSeconds
}

/** One that is through begins anew. */
function furtherOn(step: Step, searched: Searched): Kept {
  const { proof, until, isKnown } = searched
  if (isThrough(step, searched)) return vainAgain(step, proof)
  if (isKnown)
    return { ...unchanged(proof), searchedBlock: until, problem: proof.problem, dueAt: step.block.time }
  // Of one that is given up next it stays known that it was looked for in vain.
  const problem = isLast(proof) ? vain : 'The chain does not tell its logs'
  return { ...later(step, proof), searchedBlock: until, problem }
}

function vainAgain(step: Step, proof: Proof): Kept {
  const looks = vainLooks(proof)
  const again = { ...later(step, { ...proof, looks }), searchedBlock: null, problem: vain }
  return looks < maxVain ? again : { ...again, dueAt: windowEnd(step, proof) }
}

/** Soon at first, as an endpoint may only be behind. */
function soonAgain(step: Step, proof: Proof, problem: string): Kept {
  const looks = proof.problem === problem ? proof.looks : 0
  return { ...later(step, { ...proof, looks }), problem }
}

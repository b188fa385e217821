import type { RouteFinder } from '../containers.ts'
import { judge } from '../judge.ts'
import { confirm } from '../outbox/confirm.ts'
import { deliver, type SignerReport } from '../outbox/deliver.ts'
import { confirmDisplaced } from '../outbox/displaced.ts'
import { finalise } from '../outbox/final.ts'
import { confirmLeft } from '../outbox/left.ts'
import { recheckMined } from '../outbox/recheck.ts'
import { followProofs } from '../proofs/follow.ts'
import { readStatuses } from '../read-status.ts'
import { schedule } from '../schedule.ts'
import { simulateDummies } from '../simulate.ts'
import type { Step } from '../step.ts'
import { sync } from '../sync.ts'
import { rewind } from './rewind.ts'
import type { Work } from './work.ts'

/**
 * `nextId`: the coordinator's. `isNew`: this block was not looked at yet. `isHeld`: what was due, or computed, could not go on at this block:
 * the queue is full, or the signer blocked. `now`: unix milliseconds.
 */
export type Look = { nextId: number; isNew: boolean; isHeld: boolean; now: number }

/** Whether there is anything to do, by what is known already. */
export function hasWork(work: Work, { step, ...look }: Look & { step: Step }): boolean {
  return (
    confirms(work, look) ||
    finalises(work, step) ||
    rechecks(work, step, look) ||
    syncs(work, look) ||
    follows(work, step) ||
    judges(work) ||
    schedules(work, step, look) ||
    delivers(work, look)
  )
}

function confirms({ open, displaced }: Work, { isNew }: Look): boolean {
  return isNew && open + displaced > 0
}

function finalises({ minedBlock }: Work, { chain, latest }: Step): boolean {
  return minedBlock !== null && latest.number - minedBlock >= chain.config.reorgDepth
}

/** With a trail: what is mined above the block that is believed. */
function rechecks({ mined }: Work, { block, latest }: Step, { isNew }: Look): boolean {
  return isNew && mined > 0 && latest.number > block.number
}

function syncs({ cursor }: Work, { nextId }: Look): boolean {
  return nextId > cursor.nextId
}

function follows({ proofDueAt }: Work, { block }: Step): boolean {
  return proofDueAt !== null && proofDueAt <= block.time
}

function judges({ isRefusing }: Work): boolean {
  return isRefusing
}

function schedules({ dueAt }: Work, { block }: Step, { isHeld }: Look): boolean {
  return !isHeld && dueAt !== null && dueAt <= block.time
}

function delivers({ computed, triedAt }: Work, { isHeld, now }: Look): boolean {
  return !isHeld && computed > 0 && (triedAt === null || triedAt <= now)
}

export type Advanced = { isLeft: boolean; isHeld: boolean; signer: SignerReport | null; left: number | null }

export type Advance = Look & { work: Work; routes: RouteFinder }

/**
 * Does what there is to do at a block, in the order in which one leads to the next.
 * @returns `isLeft`: something is left that can be done at this block; `isHeld`: that cannot. `signer`: as it was found, and `left`: transactions of
 * signers before it that are on their way; null: it was not looked at.
 */
export async function advance(step: Step, { work, routes, ...look }: Advance): Promise<Advanced> {
  if (finalises(work, step)) await finalise(step)
  if (rechecks(work, step, look)) await recheckMined(step)
  const isConfirmed = confirms(work, look)
  if (isConfirmed && work.displaced > 0) await confirmDisplaced(step)
  let signer = isConfirmed ? await confirm(step) : null
  const left = isConfirmed ? await confirmLeft(step) : null
  const followed = follows(work, step) ? await followProofs(step) : { isLeft: false, isForked: false }
  if (followed.isForked) {
    await rewind(step, { known: step.block.number })
    return { isLeft: true, isHeld: false, signer, left }
  }
  const options = { routes, readStatuses: (ids: readonly number[]) => readStatuses({ ...step, ids }) }
  let known: Awaited<ReturnType<typeof sync>>['statuses'] | undefined
  let cursor: { version: number; nextId: number } | null = work.cursor
  if (syncs(work, look)) {
    const synced = await sync(step, { ...options, cursor: work.cursor, nextId: look.nextId })
    known = synced.statuses
    cursor = synced.cursor
  }
  const judged = judges(work)
    ? await judge(step, { judgedEpoch: work.cursor.judgedEpoch, routes })
    : { admitted: 0, left: false }
  const isDue = schedules(work, step, look) || known !== undefined || judged.admitted > 0
  const scheduled = isDue
    ? await schedule(step, {
        ...options,
        nextId: look.nextId,
        known,
        simulate: requests => simulateDummies(step, requests),
      })
    : { begun: 0, left: false }
  const delivering = delivers(work, look) ? await deliver(step) : null
  signer = delivering?.signer ?? signer
  const isBehind = cursor === null || (cursor.nextId > work.cursor.nextId && cursor.nextId < look.nextId)
  return {
    isLeft:
      isBehind ||
      followed.isLeft ||
      judged.left ||
      delivering?.isLeft === true ||
      (scheduled.left && scheduled.begun > 0),
    isHeld:
      Boolean(delivering?.signer?.blocked) ||
      delivering?.isHeld === true ||
      (scheduled.left && scheduled.begun === 0),
    signer,
    left,
  }
}

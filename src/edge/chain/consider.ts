import { uuidv7 } from 'uuidv7'
import { zeroAddress } from 'viem'
import { admitSubscription } from './admit.ts'
import type { Beginning } from './begin.ts'
import type { Status } from './chain.ts'
import { type Decision, decide, type Obstacle, pass } from './decide.ts'
import { findCreated } from './delegated/created.ts'
import { isCreatedAs } from './delegated/created-as.ts'
import { type Looked, lookAtUncreated } from './delegated/look.ts'
import { isUncreated } from './delegated/signed.ts'
import { selectFingerprints } from './due.ts'
import { type Failing, resumesAt, selectFailing } from './failing.ts'
import { servable } from './guard/servable.ts'
import { type Barred, barredParams, barredSentence, selectBarred } from './guard/usage.ts'
import { inputFingerprint } from './input.ts'
import { beginOf } from './interval.ts'
import { ownObstacles } from './own-wallet.ts'
import { type Due, ended, later, type Plan, postponed, putOff, readOf, unmoved } from './plan.ts'
import { isThere, type ReadStatuses } from './reading.ts'
import { dueAgain } from './rewind-subscriptions.ts'
import { isStaked } from './stakes/purse.ts'
import type { Step } from './step.ts'
import { sentenceOf, type Told, tellPassed, tellSkipped, tellStopped } from './telling.ts'
import { isSame } from './tracked.ts'
import { type Court, verdictOn } from './verdict.ts'

/** Looks in a row at which the chain would not create what was signed, though it may yet: three hours of them. */
const maxRefusals = 24

export type Considered = {
  rows: readonly Due[]
  court: Court
  readStatuses: ReadStatuses
  /** What was read before of some. */
  known: ReadonlyMap<number, Status>
  /** The coordinator's: below it nothing is gone, whatever an endpoint says that has not got the block. */
  nextId: number
  /** Likewise, of what the chain does not have; absent: it is looked at. */
  uncreated?: ReadonlyMap<number, Looked>
}

/** What is to be written about these, after one look at the chain for those that are not known. */
export async function consider(
  step: Step,
  { rows, court, readStatuses, known, nextId, uncreated: looked }: Considered,
): Promise<Plan> {
  const ids = rows
    .map(({ subscription }) => subscription.id)
    .filter(id => !known.has(id) && !isUncreated({ id }))
  const read = ids.length === 0 ? null : await readStatuses(ids)
  const uncreated = looked ?? (await lookAtUncreated(step, rows))
  const statusOf = (id: number) => known.get(id) ?? read?.statuses.get(id)
  const others = await selectOthers(step, { rows, statusOf })
  const failing = await selectFailing(step.db, { chain: step.chain.config.id, rows })
  const subscriptions = rows.map(({ subscription }) => subscription)
  const own = ownObstacles(step.nodeWallet, subscriptions)
  const barred = await selectBarred(step.db, {
    config: step.chain.config,
    owners: subscriptions.map(({ owner }) => owner),
  })
  const plan: Plan = {
    moves: [],
    linked: [],
    unlinked: [],
    vanished: [],
    replaced: [],
    doubtful: [],
    begun: [],
    approvals: [],
    stakings: null,
  }
  for (const row of rows) {
    const { id } = row.subscription
    const found = uncreated.get(id)
    if (found) {
      goOn(step, { plan, row, looked: found, court, failing, own, barred })
      continue
    }
    const status = statusOf(id)
    const reason = whyUnread(read, { id, status, nextId })
    if (reason !== null) postpone(step, { plan, row, reason, interval: null, nextAt: null })
    else if (row.signed !== null && !(isThere(status) && isCreatedAs(row.subscription, status.subscription)))
      plan.unlinked.push({ id, linkedBlock: row.signed.linkedBlock })
    else if (!isThere(status)) giveUp(step, { plan, row })
    else if (!isSame(row.subscription, status.subscription) || others.has(id)) {
      const verdict = verdictOn(status, court)
      plan.replaced.push({ subscription: status.subscription, verdict, read: readOf(row) })
    } else judge(step, { plan, row, status, court, failing, own, barred })
  }
  const left = await servable(step, { plan, snapshot: court.snapshot })
  return left.replaced.length === 0 ? left : await withCreated(step, left)
}

/** Why nothing is known of one; null: something is, and be it that it is gone. */
function whyUnread(
  read: Awaited<ReturnType<ReadStatuses>> | null,
  { id, status, nextId }: { id: number; status: Status | undefined; nextId: number },
): 'unasked' | 'unreadable' | null {
  if (read?.unasked.includes(id)) return 'unasked'
  return read?.failed.includes(id) || (!isThere(status) && id < nextId) ? 'unreadable' : null
}

/** What is another now, or could not be read before, may be what this node was asked for over HTTP. */
async function withCreated(step: Step, plan: Plan): Promise<Plan> {
  const { links, doubtful, left } = await findCreated(
    step,
    plan.replaced.map(({ subscription }) => subscription),
  )
  const linked = new Set(links.map(({ id }) => id))
  return {
    ...plan,
    linked: [...plan.linked, ...links],
    doubtful,
    // What is left is due still.
    replaced: plan.replaced.filter(({ subscription: { id, owner } }) => !linked.has(id) && !left.has(owner)),
  }
}

/** Which of those that are in doubt, and look the same, ask for something else than what was begun for them. */
async function selectOthers(
  { db, chain }: Step,
  { rows, statusOf }: { rows: readonly Due[]; statusOf(id: number): Status | undefined },
): Promise<ReadonlySet<number>> {
  // An input may change from block to block: only of what is in doubt it tells anything.
  const doubtful = rows.filter(({ dueAt }) => dueAt === dueAgain.inDoubt)
  const begun = doubtful.flatMap(({ subscription: { id }, nextInterval, signed }) => {
    // What came over HTTP was begun with the data that came with it.
    if (signed !== null) return []
    const { interval = 0, input = null } = statusOf(id) ?? {}
    return interval > 0 && interval < nextInterval && input !== null ? [{ id, interval, input }] : []
  })
  if (begun.length === 0) return new Set()
  const fingerprints = await selectFingerprints(db, { chain: chain.config.id, intervals: begun })
  const others = begun.filter(({ id, input }) => {
    const fingerprint = fingerprints.get(id)
    return fingerprint !== undefined && fingerprint !== inputFingerprint(input)
  })
  return new Set(others.map(({ id }) => id))
}

/** With what the chain does not have yet, as far as anybody could know. */
function goOn(step: Step, { looked, ...judged }: Omit<Judged, 'status'> & { looked: Looked }): void {
  const { plan, row } = judged
  if (looked.kind === 'created') plan.linked.push({ place: -row.subscription.id, id: looked.id })
  else if (looked.kind === 'unreadable' || looked.kind === 'unasked')
    postpone(step, { plan, row, reason: looked.kind, interval: null, nextAt: null })
  else if (looked.kind === 'foiled')
    giveUp(step, { plan, row, reason: 'nonce_used', message: 'The nonce was used for another subscription' })
  else if (looked.kind === 'there') judge(step, { ...judged, status: looked.status })
  else {
    const { code: reason, message: why, kind } = looked.revert
    const told = toldOf(step, row)
    // Looks at which something else was in the way were none of these.
    const tries = row.reason === reason ? row.tries : 0
    const isGivenUp = tries + 1 >= maxRefusals
    const isOver = kind === 'drop' || isGivenUp
    const message = kind !== 'drop' && isGivenUp ? `Given up after ${maxRefusals} looks: ${why}` : why
    plan.moves.push({
      move: isOver
        ? ended(row, { reason, message })
        : postponed(
            { ...row, tries },
            { reason, message, interval: null, time: step.block.time, nextAt: null },
          ),
      tell() {
        tellSkipped(step.log, told, message)
        if (isOver) tellStopped(step.log, told)
      },
    })
  }
}

function toldOf({ chain }: Step, { subscription }: Due, interval?: number): Told {
  const told = { chain: chain.config.id, subscription: subscription.id }
  return interval === undefined ? told : { ...told, interval }
}

function postpone(
  step: Step,
  {
    plan,
    row,
    reason,
    interval,
    nextAt,
  }: Pick<Waiting, 'nextAt'> & {
    plan: Plan
    row: Due
    reason: Waiting['reason'] | 'unreadable' | 'unasked'
    interval: number | null
  },
): void {
  const message = sentenceOf(reason)
  const wait = reason === 'unasked' ? putOff : postponed
  const move = wait(row, { reason, message, interval, time: step.block.time, nextAt })
  plan.moves.push({ move, tell: () => tellSkipped(step.log, toldOf(step, row), message) })
}

type Waiting = Extract<Decision, { kind: 'wait' }>

function giveUp(
  step: Step,
  {
    plan,
    row,
    reason = 'vanished',
    message = 'The subscription is gone from the chain',
  }: { plan: Plan; row: Due; reason?: string; message?: string },
): void {
  const move = ended(row, { reason, message })
  // Should it come again, it has no answer yet.
  plan.vanished.push({ move: { ...move, next: 1 }, tell: () => tellStopped(step.log, toldOf(step, row)) })
}

type Judged = {
  plan: Plan
  row: Due
  status: Status
  court: Court
  failing: ReadonlyMap<number, Failing>
  own: ReadonlyMap<number, Obstacle>
  barred: ReadonlyMap<string, Barred>
}

function judge(step: Step, { plan, row, status, court, failing, own, barred }: Judged): void {
  const { nextInterval } = row
  const { time: now } = court
  const hasData = row.signed !== null
  const decision = decide({
    status,
    nextInterval,
    time: now,
    latestTime: step.latest.time,
    // That of what is over is forgotten, however it comes back.
    hasData: row.signed !== null && row.signed.dataBytes > 0,
    ownObstacle: own.get(row.subscription.id) ?? null,
  })
  if (decision.kind === 'end' || decision.kind === 'later') {
    const move = decision.kind === 'end' ? ended(row, decision) : later(row, decision)
    const told = toldOf(step, row, decision.interval)
    plan.moves.push({ move, tell: () => tellPassed(step.log, told, decision) })
    return
  }
  const { snapshot, config, time, routes } = court
  const { subscription } = status
  const route = routes.find(snapshot, subscription.containerId)
  const refusal = admitSubscription(snapshot, {
    subscription,
    config,
    now: time,
    route,
    isDelegated: hasData,
  })
  const excess = barred.get(subscription.owner)
  if (refusal !== null) {
    const { code: reason, message, params } = refusal
    const told = toldOf(step, row)
    plan.moves.push({
      move: { ...unmoved(row), state: 'refused', due: null, reason, message, params, epoch: snapshot.epoch },
      tell: () => {
        tellSkipped(step.log, told, message)
        tellStopped(step.log, told)
      },
    })
  } else if (decision.kind === 'wait') postpone(step, { plan, row, ...decision })
  else if (excess !== undefined) bar(step, { plan, row, interval: decision.interval, excess })
  else if (!isBackingOff(step, { plan, row, decision, failing: failing.get(subscription.id) })) {
    planBeginning(step, { plan, row, status, decision, route: route ?? '' })
  }
}

/** Leaves intervals out where the containers have failed in those before. @returns whether it does. */
function isBackingOff(
  step: Step,
  {
    plan,
    row,
    decision: { interval },
    failing,
  }: { plan: Plan; row: Due; decision: { interval: number }; failing: Failing | undefined },
): boolean {
  const { subscription } = row
  const next = failing === undefined ? interval : resumesAt(failing, subscription)
  if (failing === undefined || next <= interval) return false
  const message = `Its containers failed in ${failing.failures} intervals in a row: the next one begun is ${next}`
  const move = later(row, { interval: next, dueAt: beginOf(subscription, next) })
  plan.moves.push({
    move: { ...move, reason: 'containers_failing', message },
    tell: () => tellSkipped(step.log, toldOf(step, row, interval), message),
  })
  return true
}

/** Whoever has cost too much waits until that is a day ago: no look before could find anything else. */
function bar(
  step: Step,
  { plan, row, interval, excess }: { plan: Plan; row: Due; interval: number; excess: Barred },
): void {
  const message = barredSentence(excess)
  const due = step.block.time + Math.max(1, Math.ceil((excess.until - excess.now) / 1000))
  const next = Math.max(row.nextInterval, interval)
  plan.moves.push({
    move: { ...unmoved(row), due, next, reason: 'consumer_limit', message, params: barredParams(excess) },
    tell: () => tellSkipped(step.log, toldOf(step, row, interval), message),
  })
}

type Planning = Omit<Judged, 'court' | 'failing' | 'own' | 'barred'> & {
  decision: Extract<Decision, { kind: 'begin' }>
  route: string
}

function planBeginning(step: Step, { plan, row, status, decision, route }: Planning): void {
  const { log, latest, jobs } = step
  const { interval, input } = decision
  const deadline = deadlineOf(row, decision.deadline)
  const passed = pass(status, interval, 'begun')
  const move = passed.kind === 'end' ? ended(row, passed) : later(row, passed)
  const left = deadline === null ? Number.POSITIVE_INFINITY : (deadline - latest.time) * 1000
  const beginning: Beginning = {
    ...readOf(row),
    interval,
    job: uuidv7(),
    route,
    requiresProof: status.subscription.verifier !== zeroAddress,
    stake: isStaked(status.subscription) ? status.subscription : null,
    input,
    dataBytes: row.signed?.dataBytes ?? 0,
    deadline,
    minPayout: null,
    expiryMs: Math.min(jobs.expiryMs, left),
  }
  const told = { ...toldOf(step, row, interval), job: beginning.job, route }
  plan.begun.push({
    row,
    status,
    beginning,
    move: { ...move, next: interval + 1, begun: interval },
    tell: () => log.info('Processing subscription', told),
  })
}

/** What is still to be created has to be mined before the signature expires. */
function deadlineOf({ subscription, signed }: Due, deadline: number | null): number | null {
  if (signed === null || !isUncreated(subscription)) return deadline
  return Math.min(signed.expiry, deadline ?? Number.POSITIVE_INFINITY)
}

import { Agent } from 'undici'
import { limits } from '../protocol/limits.ts'
import type { Lease, Question, RegisterAnswer } from '../protocol/runner.ts'
import { claimLoop } from './claim.ts'
import type { Config } from './config/config.ts'
import { policyOf } from './config/policy.ts'
import { type Containers, createContainers } from './containers.ts'
import { controlLoop, type Mode } from './control.ts'
import { createDisk } from './disk.ts'
import { createEngine } from './docker/engine.ts'
import { type KeepOptions, keepContainer } from './docker/keep.ts'
import { answer } from './edge/answer.ts'
import { createEdge, type Edge } from './edge/connect.ts'
import { register } from './edge/register.ts'
import { createHeartbeat, type Heartbeat } from './heartbeat/heartbeat.ts'
import { createScratchSpace } from './job/scratch.ts'
import type { RunnerKey } from './key/key.ts'
import { createSigner } from './key/signer.ts'
import { createLeases, type Leases } from './leases.ts'
import type { Log } from './log.ts'
import { keepRunning } from './loop.ts'
import { createNotice, type Notice } from './notice.ts'
import { createReach } from './reach.ts'
import { createReporter, type Reporter } from './report.ts'
import { askResources } from './resources.ts'
import { createSlots } from './slots.ts'
import type { Spool } from './spool/spool.ts'
import type { Bounds } from './stream/bounds.ts'
import { createStreams } from './stream/streams.ts'
import { messageOf } from './trouble.ts'
import { version } from './version.ts'
import { type WorkOptions, workOn } from './work.ts'

export type PartsOptions = {
  config: Config
  key: RunnerKey
  log: Log
  dockerHost: string | undefined
  instance: string
  spool: Spool
  /** Aborted to claim no more. */
  claiming: AbortSignal
  /** Aborted to do nothing more. */
  running: AbortSignal
  onRegistered: () => void
  onDrain: () => void
  /** How long results left over are waited for before claims begin anew. */
  flushMs: number
  bounds: Bounds
}

/** What a runner is made of, wired and with its loops under way. */
export type Parts = {
  edge: Edge
  agent: Agent
  containers: Containers
  docker: KeepOptions
  heartbeat: Heartbeat
  leases: Leases
  reporter: Reporter
  /** Posted when a job has ended. */
  progress: Notice
  /** Resolves when the last claim is over. */
  claimed: Promise<void>
  /** Resolves when nothing is being written to the spool any more. */
  spooled: Promise<void>
}

/** Replies up to this size stay in memory while they are read. */
const memoryBytes = 1024 * 1024
/** Room that a result's own envelope takes of the largest payload. */
const envelopeBytes = 4096
/** Whatever the edge says. */
const leastHeartbeatMs = 100
/** Idle connections to containers close before common servers close them (Gunicorn: 2 s), so that none is used just as it dies. */
const keepAliveTimeout = 1_500

export function startParts(options: PartsOptions): Parts {
  const { config, key, log, instance, spool, claiming, running: signal } = options
  const signer = createSigner({ id: key.id, privateKey: key.privateKey, audience: config.edge.audience })
  const edge = createEdge({ url: config.edge.url, id: key.id, signer })
  // A job's total time is bounded by a timer of its own.
  const agent = new Agent({
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout,
    keepAliveMaxTimeout: 30_000,
  })
  const leases = createLeases()
  for (const { lease } of spool.left) leases.adopt(lease)
  const containers = createContainers(config.containers)
  const slots = createSlots(containers)
  const reach = createReach({ containers, agent, log, signal })
  const scratchSpace = createScratchSpace({
    directory: spool.layout.scratch,
    memoryBytes,
    maxBytes: limits.resultBytes - envelopeBytes,
  })
  const changed = createNotice()
  const progress = createNotice()
  const back = createNotice()
  const disk = createDisk({ layout: spool.layout, onBack: changed.post, log, signal })
  const docker: KeepOptions = {
    engine: createEngine(options.dockerHost),
    config,
    containers,
    agent,
    log,
    signal,
  }
  let pace: RegisterAnswer = { lease_ms: 60_000, heartbeat_ms: 15_000, wait_ms: limits.claimWaitMs }
  let mode: Mode = 'run'
  let full = false

  const heartbeat = createHeartbeat({
    config,
    key,
    instance,
    state: () => ({ leases: leases.beating(), health: containers.health() }),
    onLost: lost => stopJobs(lost, 'lost'),
    log,
  })
  containers.watch(() => heartbeat.tell({ kind: 'health', health: containers.health() }))

  const streams = createStreams({
    edge,
    tapes: spool.tapes,
    bounds: options.bounds,
    back,
    log,
    signal,
    onUnwanted: lease => stopJobs([lease], 'cancelled'),
    onRefused: lease => stopJobs([lease], 'lost'),
  })

  const reporter = createReporter({
    edge,
    instance,
    spool,
    disk,
    delivered: streams.delivered,
    back,
    log,
    signal,
    onAnswered(done) {
      for (const lease of done) leases.drop(lease)
      heartbeat.tell({ kind: 'dropped', leases: done })
      if (full) changed.post()
    },
  })
  const work: WorkOptions = {
    containers,
    slots,
    agent,
    edge,
    streams,
    scratchSpace,
    leases,
    spool,
    disk,
    reporter,
    log,
    onLateStart: ({ id, attempt }) => heartbeat.tell({ kind: 'started', lease: { id, attempt } }),
    onUnreachable: reach.lost,
    onEnd: () => progress.post(),
  }

  function stopJobs(named: readonly Lease[], reason: 'lost' | 'cancelled'): void {
    for (const { id, attempt } of leases.stop(named, reason)) log.info(`Job ${reason}`, { job: id, attempt })
  }

  async function recover(until: AbortSignal): Promise<void> {
    pace = await register(edge, { instance, version, containers: config.containers.map(policyOf) }, until)
    log.info('Registered with the edge', { edge: config.edge.url, runner: key.id })
    heartbeat.start(Math.max(pace.heartbeat_ms, leastHeartbeatMs))
    back.post()
    options.onRegistered()
    startControl()
    // Bounded: one result that the edge fails to take would stop all claims. Claims name what is held anyway.
    const flushed = reporter.flushed(AbortSignal.any([until, AbortSignal.timeout(options.flushMs)]))
    // Side by side: a large result takes a while, and its lease is to be renewed meanwhile.
    await Promise.all([flushed, heartbeat.beat(until)])
  }

  function open(): boolean {
    const isFull = spool.bytes() + scratchSpace.bytes() + reporter.waitingBytes() >= config.spool.maxBytes
    if (isFull && !full) log.warn('The spool is full, claiming no jobs until results are reported')
    if (!isFull && full) log.info('The spool has room again')
    full = isFull
    return mode === 'run' && !full && disk.works()
  }

  function obey(told: Mode): void {
    log.info('The edge has set the mode', { mode: told })
    mode = told
    changed.post()
    if (told === 'drain') options.onDrain()
  }

  const asked = createQuestions({ edge, agent, containers, instance, log, signal })
  let listening = false

  function startControl(): void {
    if (listening) return
    listening = true
    const loop = () =>
      controlLoop({
        edge,
        instance,
        leases,
        waitMs: () => pace.wait_ms,
        mode: () => mode,
        onMode: obey,
        onCancel: cancelled => stopJobs(cancelled, 'cancelled'),
        onQuestion: asked,
        back,
        log,
        signal,
      })
    void keepRunning('control', loop, { log, signal })
  }

  const claims = () =>
    claimLoop({
      edge,
      instance,
      leases,
      slots,
      waitMs: () => pace.wait_ms,
      lapseMs: () => pace.lease_ms - pace.heartbeat_ms,
      open,
      changed,
      recover,
      work(jobs) {
        const taken = workOn(work, jobs)
        const held = taken.map(({ id, attempt, started }) => ({ id, attempt, started }))
        if (held.length > 0) heartbeat.tell({ kind: 'held', leases: held })
      },
      log,
      signal: claiming,
    })

  const spooled = keepRunning('spool', reporter.loops.spool, { log, signal })
  void keepRunning('report', reporter.loops.report, { log, signal })
  for (const target of containers.all().filter(({ config }) => !config.managed)) reach.seek(target)
  for (const container of config.containers.filter(({ managed }) => managed))
    void keepRunning('container', () => keepContainer(docker, container), { log, signal })
  const claimed = keepRunning('claim', claims, { log, signal: claiming })
  return { edge, agent, containers, docker, heartbeat, leases, reporter, progress, claimed, spooled }
}

type QuestionOptions = {
  edge: Edge
  agent: Agent
  containers: Containers
  instance: string
  log: Log
  signal: AbortSignal
}

/** Answers each question once, beside everything else. */
function createQuestions({ edge, agent, containers, instance, log, signal }: QuestionOptions) {
  const inHand = new Set<string>()

  return ({ id, model_id: modelId }: Question): boolean => {
    if (inHand.has(id)) return false
    inHand.add(id)
    askResources(containers, { modelId, agent })
      .then(text => answer(edge, { instance, question: id, answer: text }, signal))
      .catch((error: unknown) => log.warn('A question could not be answered', { error: messageOf(error) }))
      .finally(() => inHand.delete(id))
    return true
  }
}

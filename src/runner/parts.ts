import type { Agent } from 'undici'
import { limits } from '../protocol/limits.ts'
import type { Lease } from '../protocol/runner.ts'
import { claimLoop } from './claim.ts'
import type { Config } from './config/config.ts'
import { policyOf } from './config/policy.ts'
import { type Containers, createContainers, type Target } from './containers.ts'
import { createDisk } from './disk.ts'
import type { Engine } from './docker/engine.ts'
import type { Tls } from './docker/tls.ts'
import { createEdge, type Edge } from './edge/connect.ts'
import { createMeter } from './edge/meter.ts'
import type { FitnessPace } from './fitness/fitness.ts'
import type { Fleet } from './fleet.ts'
import { createPatience } from './health/patience.ts'
import { watchHealth } from './health/watch.ts'
import { createHeartbeat, type Heartbeat } from './heartbeat/heartbeat.ts'
import { createHost } from './host.ts'
import { createContainerAgent } from './job/agent.ts'
import { createScratchSpace } from './job/scratch.ts'
import type { RunnerKey } from './key/key.ts'
import { createSigner } from './key/signer.ts'
import { createLeases, type Leases } from './leases.ts'
import type { Log } from './log.ts'
import { keepRunning } from './loop.ts'
import { createManaged } from './managed.ts'
import { createNotice, type Notice } from './notice.ts'
import { createQuestions } from './questions.ts'
import { createReach } from './reach.ts'
import { createRegistration } from './registration.ts'
import { createReporter, type Reporter } from './report.ts'
import { createSession } from './session.ts'
import { createSlots } from './slots.ts'
import type { Spool } from './spool/spool.ts'
import { createSpoolRoom } from './spool-room.ts'
import { createMetrics, type Metrics } from './status/metrics.ts'
import type { Sources } from './status/sources.ts'
import type { Bounds } from './stream/bounds.ts'
import { createStreams } from './stream/streams.ts'
import { createTally } from './tally.ts'
import { createToldLabels } from './told-labels.ts'
import { type WorkOptions, workOn } from './work.ts'

export type PartsOptions = {
  /** As it is at the start. */
  config: Config
  key: RunnerKey
  log: Log
  dockerHost: string | undefined
  dockerTls: Tls | null
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
  /** How often the host is looked at, where it differs. */
  fitnessPace?: FitnessPace | undefined
}

/** What a runner is made of, wired and with its loops under way. */
export type Parts = {
  edge: Edge
  agent: Agent
  containers: Containers
  engine: Engine
  fleet: Fleet
  heartbeat: Heartbeat
  leases: Leases
  reporter: Reporter
  /** Has the containers, and what else may change, as another configuration says. */
  reload(config: Config): void
  /** Posted when a job has ended. */
  progress: Notice
  /** Resolves when the last claim is over. */
  claimed: Promise<void>
  /** Resolves when nothing is being written to the spool any more. */
  spooled: Promise<void>
  sources: Sources
  metrics: Metrics
}

/** Replies up to this size stay in memory while they are read. */
const memoryBytes = 1024 * 1024
/** Room that a result's own envelope takes of the largest payload. */
const envelopeBytes = 4096
export function startParts(options: PartsOptions): Parts {
  const { config, key, log, instance, spool, claiming, running: signal } = options
  let current = config
  const signer = createSigner({ id: key.id, privateKey: key.privateKey, audience: config.edge.audience })
  const meter = createMeter(createEdge({ url: config.edge.url, id: key.id, signer }))
  const { edge } = meter
  const leases = createLeases()
  for (const { lease } of spool.left) leases.adopt(lease)
  const containers = createContainers(config.containers)
  const agent = createContainerAgent(containers.all)
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
  const { dockerHost, dockerTls } = options
  const managed = createManaged({
    config,
    dockerHost,
    dockerTls,
    containers,
    slots,
    reach,
    agent,
    drainTimeoutMs: () => current.drainTimeoutMs,
    log,
    signal,
  })
  const { engine, fleet, gpus, isHere } = managed
  const labels = createToldLabels({ config: () => current, gpus })
  const policies = () => current.containers.map(policyOf)
  const registration = createRegistration({
    edge,
    instance,
    policies,
    labels: labels.told,
    back,
    log,
    signal,
  })
  const tally = createTally()

  const host = createHost({
    config: () => current,
    engine,
    edge,
    gpus,
    isHere,
    containers,
    agent,
    relief: managed.relief,
    mode: () => session.mode(),
    onReport: (report, isNews) => heartbeat.tell({ kind: 'host', host: report, isNews }),
    onLooked(isNews) {
      void registration.relabel()
      if (isNews) changed.post()
    },
    onMended: (id, cause) => void fleet.renew(id, cause),
    log,
    signal,
    pace: options.fitnessPace,
  })
  const { fitness } = host

  const heartbeat = createHeartbeat({
    config,
    key,
    instance,
    state: () => ({ leases: leases.beating(), health: containers.health(), host: host.report() }),
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
      metrics.reported(done.length)
      if (room.isFull()) changed.post()
    },
  })
  const patience = createPatience({ containers, agent, onHung: onFailed, signal })
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
    tally,
    log,
    onLateStart: ({ id, attempt }) => heartbeat.tell({ kind: 'started', lease: { id, attempt } }),
    onUnreachable: reach.lost,
    onLate: patience.late,
    onAnswered: patience.answered,
    onEnd: () => progress.post(),
  }

  function stopJobs(named: readonly Lease[], reason: 'lost' | 'cancelled'): void {
    for (const { id, attempt } of leases.stop(named, reason)) log.info(`Job ${reason}`, { job: id, attempt })
  }

  const session = createSession({
    edgeUrl: config.edge.url,
    runner: key.id,
    instance,
    edge,
    registration,
    heartbeat,
    reporter,
    leases,
    looked: gpus.looked,
    report: host.report,
    flushMs: options.flushMs,
    back,
    onRegistered: options.onRegistered,
    onMode(told) {
      host.tell(true)
      changed.post()
      if (told === 'drain') options.onDrain()
    },
    onCancel: cancelled => stopJobs(cancelled, 'cancelled'),
    onQuestion: createQuestions({ edge, agent, containers, instance, log, signal }),
    log,
    signal,
  })

  const room = createSpoolRoom({
    spool,
    scratchSpace,
    reporter,
    maxBytes: () => current.spool.maxBytes,
    log,
  })

  function open(): boolean {
    const isFull = room.fills()
    return session.mode() === 'run' && !isFull && disk.works() && fitness.isFit()
  }

  const claims = () =>
    claimLoop({
      edge,
      instance,
      leases,
      slots,
      waitMs: session.waitMs,
      lapseMs: session.lapseMs,
      open,
      changed,
      recover: session.recover,
      work(jobs) {
        const taken = workOn(work, jobs)
        const held = taken.map(({ id, attempt, started }) => ({ id, attempt, started }))
        if (held.length > 0) heartbeat.tell({ kind: 'held', leases: held })
      },
      log,
      signal: claiming,
    })

  /** Keeping a container means to start it again when it has stopped, so that one which cannot go on is stopped. */
  function onFailed(target: Target, detail: string): void {
    const { id, managed } = target.config
    if (managed) void fleet.renew(id, { code: 'not_ready', detail })
    else reach.lost(target, detail)
  }

  const sources: Sources = {
    runner: key.id,
    instance,
    edgeUrl: config.edge.url,
    edge,
    meter,
    tally,
    containers,
    labels: labels.all,
    gpus: gpus.seen,
    rooms: host.rooms,
    fitness,
    leases,
    heartbeat,
    disk,
    spool,
    spoolBytes: room.bytes,
    spoolMaxBytes: () => current.spool.maxBytes,
    isFull: room.isFull,
    isRegistered: session.isRegistered,
    mode: session.mode,
    isEnding: () => claiming.aborted,
  }
  const metrics = createMetrics(sources)

  function reload(next: Config): void {
    current = next
    managed.apply(next)
    void registration.again()
  }

  for (const loop of fitness.loops) void keepRunning('fitness', loop, { log, signal })
  const spooled = keepRunning('spool', reporter.loops.spool, { log, signal })
  void keepRunning('report', reporter.loops.report, { log, signal })
  void keepRunning('health', () => watchHealth({ containers, agent, onFailed, signal }), { log, signal })
  managed.apply(config)
  const claimed = keepRunning('claim', claims, { log, signal: claiming })
  return {
    edge,
    agent,
    containers,
    engine,
    fleet,
    heartbeat,
    leases,
    reporter,
    reload,
    progress,
    claimed,
    spooled,
    sources,
    metrics,
  }
}

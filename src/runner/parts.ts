import type { Agent } from 'undici'
import type { HostReport } from '../protocol/host.ts'
import { limits } from '../protocol/limits.ts'
import type { Lease, Question, RegisterAnswer, RegisterRequest } from '../protocol/runner.ts'
import { claimLoop } from './claim.ts'
import type { Config } from './config/config.ts'
import { policyOf } from './config/policy.ts'
import { createConfinement } from './confine/confine.ts'
import { readHost } from './confine/host.ts'
import { type Containers, createContainers, type Target } from './containers.ts'
import { controlLoop, type Mode } from './control.ts'
import { createDisk } from './disk.ts'
import { diskUse } from './docker/disk-use.ts'
import { createEngine, type Engine, isLocal } from './docker/engine.ts'
import { createEvents } from './docker/events.ts'
import { createRelief } from './docker/relief.ts'
import { scopeOf } from './docker/scope.ts'
import { nameOf } from './docker/spec.ts'
import type { Tls } from './docker/tls.ts'
import { createDrain } from './drain.ts'
import { answer } from './edge/answer.ts'
import { createEdge, type Edge } from './edge/connect.ts'
import { createMeter } from './edge/meter.ts'
import { checksOf, dockerRoom } from './fitness/checks.ts'
import type { SeenRoom } from './fitness/disk.ts'
import { createFitness, type FitnessPace } from './fitness/fitness.ts'
import { createFleet, type Fleet } from './fleet.ts'
import { createGpus } from './gpu/gpus.ts'
import { createQuery } from './gpu/query.ts'
import { createPatience } from './health/patience.ts'
import { watchHealth } from './health/watch.ts'
import { createHeartbeat, type Heartbeat } from './heartbeat/heartbeat.ts'
import { createContainerAgent } from './job/agent.ts'
import { createScratchSpace } from './job/scratch.ts'
import type { RunnerKey } from './key/key.ts'
import { createSigner } from './key/signer.ts'
import { gpuLabelsOf, hostLabelsOf } from './labels.ts'
import { createLeases, type Leases } from './leases.ts'
import type { Log } from './log.ts'
import { keepRunning } from './loop.ts'
import { createNotice, type Notice } from './notice.ts'
import { createReach } from './reach.ts'
import { createRegistration } from './registration.ts'
import { createReporter, type Reporter } from './report.ts'
import { askResources } from './resources.ts'
import { sleep } from './sleep.ts'
import { createSlots } from './slots.ts'
import type { Spool } from './spool/spool.ts'
import { createMetrics, type Metrics } from './status/metrics.ts'
import type { Sources } from './status/sources.ts'
import type { Bounds } from './stream/bounds.ts'
import { createStreams } from './stream/streams.ts'
import { createTally } from './tally.ts'
import { messageOf } from './trouble.ts'
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
/** Whatever the edge says. */
const leastHeartbeatMs = 100
/** For the GPUs of this host to be seen, before the edge is told of it. */
const firstLookMs = 5_000

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
  const engine = createEngine(options.dockerHost, options.dockerTls)
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
  const isHere = isLocal(options.dockerHost) && !config.inDocker
  const gpus = createGpus(isHere ? createQuery() : null)
  const scope = scopeOf(config)
  const host = readHost(options.dockerHost)
  const confinement = createConfinement({ scope, engine, host, log, signal })
  const drain = createDrain({ containers, slots, timeoutMs: () => current.drainTimeoutMs, log, signal })
  const events = createEvents({ engine, scope, log, signal })
  const relief = createRelief({
    ids: () => containers.all().flatMap(({ config: { id, managed } }) => (managed ? [id] : [])),
    measure: id => diskUse(engine, nameOf(scope, id)),
    log,
  })
  const fleet = createFleet({
    engine,
    events,
    confinement,
    relief,
    gpus,
    containers,
    drain,
    reach,
    agent,
    log,
    signal,
  })
  const policies = () => current.containers.map(policyOf)
  const registration = createRegistration({
    edge,
    instance,
    policies,
    labels: toldLabels,
    back,
    log,
    signal,
  })
  let pace: RegisterAnswer = { lease_ms: 60_000, heartbeat_ms: 15_000, wait_ms: limits.claimWaitMs }
  let mode: Mode = 'run'
  let full = false
  let registered = false
  const tally = createTally()

  /** As they were last seen, by what they are for. */
  const rooms = new Map<string, SeenRoom>()
  const fitness = createFitness({
    checks: checksOf({
      config: () => current,
      engine,
      edge,
      gpus,
      isHere,
      onRoom: room => void rooms.set(room.what, room),
      signal,
    }),
    containers,
    onLooked(isNews) {
      tellHost(isNews)
      void relief.lacks(lackingForDocker())
      void registration.relabel()
      if (isNews) changed.post()
    },
    onMended: (id, cause) => void fleet.renew(id, cause),
    log,
    signal,
    ...(options.fitnessPace && { pace: options.fitnessPace }),
  })

  /** In bytes; 0 also where nobody can see. */
  function lackingForDocker(): number {
    const free = rooms.get(dockerRoom)?.freeBytes ?? null
    return free === null ? 0 : Math.max(0, current.minFreeDisk - free)
  }

  function hostReport(): HostReport {
    return { mode, gpus: gpus.seen().slice(0, limits.gpusPerHost), findings: fitness.findings() }
  }

  let lastTold = ''
  function tellHost(isNews: boolean): void {
    const host = hostReport()
    const text = JSON.stringify(host)
    if (text === lastTold) return
    lastTold = text
    heartbeat.tell({ kind: 'host', host, isNews })
  }

  const heartbeat = createHeartbeat({
    config,
    key,
    instance,
    state: () => ({ leases: leases.beating(), health: containers.health(), host: hostReport() }),
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
      if (full) changed.post()
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

  function toldLabels(): Pick<RegisterRequest, 'labels' | 'gpu_labels'> {
    const { arch, platform } = process
    const configured = current.labels
    const labels = hostLabelsOf({ configured, arch, platform })
    const given = gpus.knownByContainer(current.containers.filter(({ managed }) => !managed))
    if (given === null) return { labels }
    const gpu_labels = [...given]
      .map(([id, those]) => ({ id, labels: gpuLabelsOf(those, configured) }))
      .filter(({ labels }) => Object.keys(labels).length > 0)
    return { labels, gpu_labels }
  }

  /** For who looks at the runner: all that one or another of its containers has. */
  function allLabels() {
    return { ...toldLabels().labels, ...gpuLabelsOf([...gpus.known().values()], current.labels) }
  }

  async function recover(until: AbortSignal): Promise<void> {
    // Until it has looked the edge goes by what it was told before, if it was. A host whose driver hangs is not waited for.
    if (isHere) await Promise.race([gpus.looked(), sleep(firstLookMs, until)])
    pace = await registration.register(until)
    log.info('Registered with the edge', { edge: config.edge.url, runner: key.id })
    heartbeat.start(Math.max(pace.heartbeat_ms, leastHeartbeatMs))
    // An edge that has forgotten this process has forgotten its host as well.
    heartbeat.tell({ kind: 'host', host: hostReport(), isNews: false })
    back.post()
    registered = true
    options.onRegistered()
    startControl()
    // Bounded: one result that the edge fails to take would stop all claims. Claims name what is held anyway.
    const flushed = reporter.flushed(AbortSignal.any([until, AbortSignal.timeout(options.flushMs)]))
    // Side by side: a large result takes a while, and its lease is to be renewed meanwhile.
    await Promise.all([flushed, heartbeat.beat(until)])
  }

  const spoolBytes = () => spool.bytes() + scratchSpace.bytes() + reporter.waitingBytes()

  function open(): boolean {
    const isFull = spoolBytes() >= current.spool.maxBytes
    if (isFull && !full) log.warn('The spool is full, claiming no jobs until results are reported')
    if (!isFull && full) log.info('The spool has room again')
    full = isFull
    return mode === 'run' && !full && disk.works() && fitness.isFit()
  }

  function obey(told: Mode): void {
    log.info('The edge has set the mode', { mode: told })
    mode = told
    tellHost(true)
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
    labels: allLabels,
    gpus: gpus.seen,
    rooms: () => [...rooms.values()],
    fitness,
    leases,
    heartbeat,
    disk,
    spool,
    spoolBytes,
    spoolMaxBytes: () => current.spool.maxBytes,
    isFull: () => full,
    isRegistered: () => registered,
    mode: () => mode,
    isEnding: () => claiming.aborted,
  }
  const metrics = createMetrics(sources)

  let watching = false

  /** Looks after what Docker runs, from when it runs anything. */
  function watch(): void {
    if (watching || !current.containers.some(({ managed }) => managed)) return
    watching = true
    void keepRunning('events', events.listen, { log, signal })
    void keepRunning('confinement', confinement.watch, { log, signal })
  }

  function reload(next: Config): void {
    current = next
    void fleet.apply(next)
    watch()
    void registration.again()
  }

  void keepRunning('fitness', fitness.loop, { log, signal })
  const spooled = keepRunning('spool', reporter.loops.spool, { log, signal })
  void keepRunning('report', reporter.loops.report, { log, signal })
  void keepRunning('health', () => watchHealth({ containers, agent, onFailed, signal }), { log, signal })
  void fleet.apply(config)
  watch()
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

import type { HostReport } from '../protocol/host.ts'
import { limits } from '../protocol/limits.ts'
import type { Lease, Question, RegisterAnswer } from '../protocol/runner.ts'
import { controlLoop, type Mode } from './control.ts'
import type { Edge } from './edge/connect.ts'
import type { Heartbeat } from './heartbeat/heartbeat.ts'
import type { Leases } from './leases.ts'
import type { Log } from './log.ts'
import { keepRunning } from './loop.ts'
import type { Notice } from './notice.ts'
import type { Registration } from './registration.ts'
import type { Reporter } from './report.ts'
import { sleep } from './sleep.ts'

/** This process as the edge knows it: registered, beating, under its orders. */
export type Session = {
  /** Registers, reports what is in the spool, and beats: due before a claim after any gap. Wakes what waits for the edge. */
  recover(until: AbortSignal): Promise<void>
  isRegistered(): boolean
  mode(): Mode
  /** How long a request may be waited with. */
  waitMs(): number
  /** A silence of the edge that is longer may have outlived leases. */
  lapseMs(): number
}

export type SessionOptions = {
  /** Where the edge is, and who we are, for the log. */
  edgeUrl: string
  runner: string
  instance: string
  edge: Edge
  registration: Pick<Registration, 'register'>
  heartbeat: Heartbeat
  reporter: Pick<Reporter, 'flushed'>
  leases: Leases
  /** Resolves when the host was looked at for the first time. */
  looked: () => Promise<void>
  report: () => HostReport
  /** How long results left over are waited for before claims begin anew. */
  flushMs: number
  /** Posted when the edge is back. */
  back: Notice
  onRegistered: () => void
  onMode: (mode: Mode) => void
  onCancel: (leases: readonly Lease[]) => void
  onQuestion: (question: Question) => boolean
  log: Log
  signal: AbortSignal
}

/** Whatever the edge says. */
const leastHeartbeatMs = 100
/** For this host to be seen, before the edge is told of it. */
const firstLookMs = 5_000

export function createSession(options: SessionOptions): Session {
  const { edge, instance, heartbeat, leases, back, log, signal } = options
  let pace: RegisterAnswer = { lease_ms: 60_000, heartbeat_ms: 15_000, wait_ms: limits.claimWaitMs }
  let mode: Mode = 'run'
  let registered = false
  let listening = false

  async function recover(until: AbortSignal): Promise<void> {
    // Until it has looked the edge goes by what it was told before, if it was. A host whose driver hangs is not waited for.
    await Promise.race([options.looked(), sleep(firstLookMs, until)])
    pace = await options.registration.register(until)
    log.info('Registered with the edge', { edge: options.edgeUrl, runner: options.runner })
    heartbeat.start(Math.max(pace.heartbeat_ms, leastHeartbeatMs))
    // An edge that has forgotten this process has forgotten its host as well.
    heartbeat.tell({ kind: 'host', host: options.report(), isNews: false })
    back.post()
    registered = true
    options.onRegistered()
    startControl()
    // Bounded: one result that the edge fails to take would stop all claims. Claims name what is held anyway.
    const flushed = options.reporter.flushed(AbortSignal.any([until, AbortSignal.timeout(options.flushMs)]))
    // Side by side: a large result takes a while, and its lease is to be renewed meanwhile.
    await Promise.all([flushed, heartbeat.beat(until)])
  }

  function obey(told: Mode): void {
    log.info('The edge has set the mode', { mode: told })
    mode = told
    options.onMode(told)
  }

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
        onCancel: options.onCancel,
        onQuestion: options.onQuestion,
        back,
        log,
        signal,
      })
    void keepRunning('control', loop, { log, signal })
  }

  return {
    recover,
    isRegistered: () => registered,
    mode: () => mode,
    waitMs: () => pace.wait_ms,
    lapseMs: () => pace.lease_ms - pace.heartbeat_ms,
  }
}

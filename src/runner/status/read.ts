import { version } from '../version.ts'
import { reasonsOf } from './reasons.ts'
import type { Sources } from './sources.ts'
import type { RunnerStatus } from './status.ts'

/** The state of this moment. `uptimeMs`: of the process. Key by key, so that nothing slips in. */
export function readStatus(sources: Sources, { uptimeMs }: { uptimeMs: number }): RunnerStatus {
  const { meter, containers, leases, heartbeat, disk, spool, edge } = sources
  const inHand = sources.tally.inHand()
  const reasons = reasonsOf(sources)
  return {
    version,
    runner: sources.runner,
    instance: sources.instance,
    uptime_ms: Math.round(uptimeMs),
    ready: reasons.length === 0,
    reasons,
    edge: {
      url: sources.edgeUrl,
      registered: sources.isRegistered(),
      mode: sources.mode(),
      answered_ms_ago: rounded(meter.answeredMsAgo()),
      heartbeat_ms_ago: rounded(heartbeat.ageMs()),
      round_trip_ms: Math.round(edge.roundTripMs()),
      trouble: meter.trouble(),
    },
    labels: sources.labels(),
    gpus: [...sources.gpus()],
    disks: sources.rooms().map(({ what, path, freeBytes }) => ({ what, path, free_bytes: freeBytes })),
    findings: sources.fitness.findings(),
    containers: containers.all().map(({ config: { id, slots }, health, cause, detail }) => ({
      id,
      health,
      code: cause?.code ?? null,
      detail: detail ?? null,
      slots,
      busy: inHand.filter(job => job.containers.includes(id)).length,
    })),
    jobs: inHand.map(({ id, attempt, containers: chain, stream, forMs }) => ({
      id,
      attempt,
      containers: [...chain],
      stream,
      for_ms: forMs,
    })),
    unreported: leases.count() - leases.unfinished(),
    spool: {
      bytes: sources.spoolBytes(),
      max_bytes: sources.spoolMaxBytes(),
      full: sources.isFull(),
      writable: disk.works(),
      stream_bytes: spool.tapes.bytes(),
    },
  }
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms)
}

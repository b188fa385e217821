import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Gpu } from '../../protocol/host.ts'
import type { Health } from '../containers.ts'
import { version } from '../version.ts'
import { reasonsOf } from './reasons.ts'
import type { Sources } from './sources.ts'

export type Metrics = {
  /** In Prometheus' text format. */
  text(): Promise<string>
  readonly contentType: string
  /** The edge has answered for so many results. */
  reported(count: number): void
}

/** From a quick classifier to a long training. */
const buckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800, 3600]
const prefix = 'infernet_runner_'

type GaugeOptions<T extends string> = { labels: T[]; read: (gauge: Gauge<T>) => void }

/** The metrics of one runner, in a registry of its own: a process may hold several. */
export function createMetrics(sources: Sources): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const { tally, meter, containers, leases, heartbeat } = sources

  function counter<T extends string>(name: string, help: string, labelNames: T[]): Counter<T> {
    return new Counter({ name: `${prefix}${name}_total`, help, labelNames, registers })
  }

  /** Read when somebody asks. */
  function gauge<T extends string>(name: string, help: string, { labels, read }: GaugeOptions<T>): void {
    const collect = function (this: Gauge<T>) {
      this.reset()
      read(this)
    }
    new Gauge({ name: `${prefix}${name}`, help, labelNames: labels, registers, collect })
  }

  const plain = (name: string, help: string, value: () => number | null) =>
    gauge(name, help, {
      labels: [],
      read(one) {
        const now = value()
        if (now === null) one.remove()
        else one.set(now)
      },
    })

  const jobs = counter('jobs', 'Jobs that have ended, by the container that ended them', [
    'container',
    'outcome',
  ])
  const seconds = new Histogram({
    name: `${prefix}job_duration_seconds`,
    help: 'From the claim of a job to its result',
    labelNames: ['container'] as const,
    buckets,
    registers,
  })
  tally.onEnd(({ container, outcome, seconds: took }) => {
    jobs.inc({ container, outcome })
    seconds.observe({ container }, took)
  })

  const answers = counter('edge_requests', 'Requests to the edge by its answer; none: it did not answer', [
    'route',
    'status',
  ])
  meter.onAnswer(({ route, status }) => answers.inc({ route, status: String(status ?? 'none') }))
  const results = counter('results_reported', 'Results that the edge has answered for', [])

  const restarts = counter(
    'container_recoveries',
    'Times that a container was ready again after it was not',
    ['container'],
  )
  const failures = counter('container_failures', 'Times that a container became unhealthy', ['container'])
  const before = new Map<string, Health>()
  const fell = new Set<string>()
  for (const { config: target } of containers.all()) {
    restarts.inc({ container: target.id }, 0)
    failures.inc({ container: target.id }, 0)
  }
  containers.watch(({ config: { id: container }, health }) => {
    if (before.get(container) === health) return
    before.set(container, health)
    if (health === 'unhealthy') {
      failures.inc({ container })
      fell.add(container)
    } else if (health === 'ready' && fell.delete(container)) restarts.inc({ container })
  })

  gauge('info', 'Of the process', {
    labels: ['version', 'runner', 'instance'],
    read: one => one.set({ version, runner: sources.runner, instance: sources.instance }, 1),
  })
  plain('ready', '1: registered, and claiming jobs', () => (reasonsOf(sources).length === 0 ? 1 : 0))
  gauge('container_health', '1 for the state that a container is in', {
    labels: ['container', 'health'],
    read(one) {
      for (const { config, health } of containers.all())
        for (const state of ['starting', 'ready', 'unhealthy'])
          one.set({ container: config.id, health: state }, state === health ? 1 : 0)
    },
  })
  gauge('container_down', '1 for the code by which a container is not ready', {
    labels: ['container', 'code'],
    read(one) {
      for (const { config, cause } of containers.all())
        if (cause !== undefined) one.set({ container: config.id, code: cause.code }, 1)
    },
  })
  gauge('unfit', '1 for each thing that keeps the host from working', {
    labels: ['code'],
    read(one) {
      for (const { code } of sources.fitness.findings()) one.set({ code }, 1)
    },
  })
  gauge('disk_free_bytes', 'Free where the spool is, and where Docker writes', {
    labels: ['what'],
    read(one) {
      for (const { what, freeBytes } of sources.rooms()) if (freeBytes !== null) one.set({ what }, freeBytes)
    },
  })
  gpuGauges(gauge, sources.gpus)
  gauge('slots', 'Jobs that a container takes at once', {
    labels: ['container'],
    read(one) {
      for (const { config } of containers.all()) one.set({ container: config.id }, config.slots)
    },
  })
  gauge('slots_free', 'Of these, free; 0 where it is not ready', {
    labels: ['container'],
    read(one) {
      const inHand = tally.inHand()
      for (const { config, health } of containers.all()) {
        const busy = inHand.filter(job => job.containers.includes(config.id)).length
        const free = health === 'ready' ? Math.max(0, config.slots - busy) : 0
        one.set({ container: config.id }, free)
      }
    },
  })
  plain('jobs_in_hand', 'Jobs that are worked on', () => tally.inHand().length)
  plain('streams_in_hand', 'Of these, streaming ones', () => tally.inHand().filter(job => job.stream).length)
  plain(
    'results_waiting',
    'Results that the edge has not answered for',
    () => leases.count() - leases.unfinished(),
  )
  plain('spool_bytes', 'In the spool', sources.spoolBytes)
  plain('spool_max_bytes', 'Above this nothing is claimed', sources.spoolMaxBytes)
  plain('heartbeat_age_seconds', 'Since the edge took a heartbeat; absent: never', () =>
    toSeconds(heartbeat.ageMs()),
  )
  plain('edge_answer_age_seconds', 'Since the edge answered well; absent: never', () =>
    toSeconds(meter.answeredMsAgo()),
  )

  return {
    text: () => registry.metrics(),
    contentType: registry.contentType,
    reported: count => results.inc(count),
  }
}

type Figure = [name: string, help: string, value: (gpu: Gpu) => number | null]

const mib = 2 ** 20
const figures: Figure[] = [
  ['gpu_memory_bytes', 'Of a GPU', gpu => times(gpu.memory_mib, mib)],
  ['gpu_memory_used_bytes', 'Of this, used', gpu => times(gpu.memory_used_mib, mib)],
  ['gpu_utilization_percent', 'How much of the time it worked', gpu => gpu.utilization],
  ['gpu_temperature_celsius', 'How hot it is', gpu => gpu.temperature],
  ['gpu_problem', '1: its driver says that it cannot be used', gpu => (gpu.problem === null ? 0 : 1)],
]

/** A figure that the driver does not tell is absent. */
function gpuGauges(
  gauge: (name: string, help: string, options: GaugeOptions<'gpu' | 'name'>) => void,
  gpus: () => readonly Gpu[],
): void {
  for (const [name, help, read] of figures)
    gauge(name, help, {
      labels: ['gpu', 'name'],
      read(one) {
        for (const gpu of gpus()) {
          const value = read(gpu)
          if (value !== null) one.set({ gpu: gpu.uuid, name: gpu.name }, value)
        }
      },
    })
}

function times(value: number | null, factor: number): number | null {
  return value === null ? null : value * factor
}

function toSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000
}

import { dirname, join, resolve } from 'node:path'
import type { Labels } from '../../protocol/labels.ts'
import { type Confined, settleConfined } from './confinement.ts'
import { type Listen, listenOf } from './listen.ts'
import { assignPorts } from './ports.ts'
import type { ConfigFile, ContainerEntry } from './schema.ts'

/** The configuration as the runner uses it: every default applied, paths absolute, times in milliseconds. */
export type Config = {
  edge: { url: string; audience: string; keyFile: string }
  /** What jobs may ask of this host, as the operator says. */
  labels: Labels
  docker: { username: string; password: string } | null
  /** Docker's own configuration file, with the credentials of `docker login`. */
  dockerConfig: string
  /** Containers stay up when the runner ends. */
  keepRunning: boolean
  /** The runner itself is inside a container (`RUNTIME=docker`). */
  inDocker: boolean
  spool: { directory: string; maxBytes: number }
  /** Bytes that must be free for the spool, and for Docker. */
  minFreeDisk: number
  /** Where status, metrics and log are to be read; null: nowhere. */
  listen: Listen | null
  drainTimeoutMs: number
  /** How long one request uploads output of a stream. */
  streamPartMs: number
  /** Containers that cannot be kept in their place are not started. */
  requireIsolation: boolean
  containers: Container[]
}

export type Container = Omit<
  ContainerEntry,
  | 'slots'
  | 'http_errors'
  | 'timeout'
  | 'pull_timeout'
  | 'start_timeout'
  | 'ready_timeout'
  | 'pull'
  | 'inner_port'
  | 'health'
  | 'connect_timeout'
  | 'egress'
  | 'limits'
> &
  Confined & {
    /** Of this host, as the file has it or by default: `port` is another one where an earlier container has that. */
    wantedPort: number
    /** Where it is called: its `url`, else a port of this host. */
    baseUrl: string
    /** Started and stopped here, with Docker. */
    managed: boolean
    /** Where it listens inside. */
    innerPort: number
    /** Asked whether it is ready. */
    healthPath: string
    connectTimeoutMs: number
    slots: number
    httpErrors: 'failure' | 'success'
    timeoutMs: number
    pullTimeoutMs: number
    startTimeoutMs: number
    readyTimeoutMs: number
    pull: 'missing' | 'always'
  }

/** Of each kind of container: the reference's (node page, 2.1 and 8.4), and those that Cog builds. */
const usualOf = {
  infernet: { innerPort: 3000, healthPath: '/health' },
  cog: { innerPort: 5000, healthPath: '/health-check' },
} as const

export function settle(file: ConfigFile, { path, env }: { path: string; env: Environment }): Config {
  const directory = dirname(resolve(path))
  const inDocker = env.RUNTIME === 'docker'
  const here = file.containers.filter(({ url }) => url === '')
  const ports = assignPorts(here.map(({ port }) => port))
  const portOf = (entry: ContainerEntry) => ports[here.indexOf(entry)] ?? entry.port
  return {
    edge: {
      url: file.edge.url.replace(/\/+$/, ''),
      audience: new URL(file.edge.audience ?? file.edge.url).origin,
      keyFile: resolve(directory, file.edge.key_file),
    },
    labels: file.labels,
    docker: file.docker ?? null,
    dockerConfig: join(env.DOCKER_CONFIG || join(env.HOME ?? '/', '.docker'), 'config.json'),
    keepRunning: file.keep_running,
    inDocker,
    spool: { directory: resolve(directory, file.spool), maxBytes: file.spool_max_bytes },
    minFreeDisk: file.min_free_disk,
    listen: listenOf(file.listen),
    drainTimeoutMs: file.drain_timeout * 1000,
    streamPartMs: file.stream_part * 1000,
    requireIsolation: file.require_isolation,
    containers: file.containers.map(entry => {
      const {
        slots,
        http_errors,
        timeout,
        pull_timeout,
        start_timeout,
        ready_timeout,
        pull,
        inner_port,
        health,
        connect_timeout,
        ...kept
      } = entry
      const usual = usualOf[entry.api]
      const port = portOf(entry)
      return {
        ...kept,
        ...settleConfined(entry, file),
        port,
        wantedPort: entry.port,
        baseUrl: entry.url || localUrl(port, inDocker),
        managed: file.manage_containers && entry.url === '',
        innerPort: inner_port ?? usual.innerPort,
        healthPath: health ?? usual.healthPath,
        connectTimeoutMs: connect_timeout * 1000,
        slots: slots ?? file.slots,
        httpErrors: http_errors ?? file.http_errors,
        timeoutMs: (timeout ?? file.timeout) * 1000,
        pullTimeoutMs: (pull_timeout ?? file.pull_timeout) * 1000,
        startTimeoutMs: (start_timeout ?? file.start_timeout) * 1000,
        readyTimeoutMs: (ready_timeout ?? file.ready_timeout) * 1000,
        pull: pull ?? file.pull,
      }
    }),
  }
}

/** Environment variables that matter here. */
export type Environment = {
  INFERNET_CONFIG_PATH?: string | undefined
  INFERNET_EDGE_URL?: string | undefined
  INFERNET_KEY_FILE?: string | undefined
  RUNTIME?: string | undefined
  DOCKER_CONFIG?: string | undefined
  HOME?: string | undefined
}

export function localUrl(port: number, inDocker: boolean): string {
  return `http://${inDocker ? 'host.docker.internal' : 'localhost'}:${port}`
}

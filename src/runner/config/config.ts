import { dirname, resolve } from 'node:path'
import { assignPorts } from './ports.ts'
import type { ConfigFile, ContainerEntry } from './schema.ts'

/** The configuration as the runner uses it: every default applied, paths absolute, times in milliseconds. */
export type Config = {
  edge: { url: string; audience: string; keyFile: string }
  docker: { username: string; password: string } | null
  /** The runner itself is inside a container (`RUNTIME=docker`). */
  inDocker: boolean
  spool: { directory: string; maxBytes: number }
  drainTimeoutMs: number
  /** How long one request uploads output of a stream. */
  streamPartMs: number
  containers: Container[]
}

export type Container = Omit<
  ContainerEntry,
  'slots' | 'http_errors' | 'timeout' | 'start_timeout' | 'pull'
> & {
  /** Where it is called: its `url`, else a port of this host. */
  baseUrl: string
  /** Started and stopped here, with Docker. */
  managed: boolean
  slots: number
  httpErrors: 'failure' | 'success'
  timeoutMs: number
  startTimeoutMs: number
  pull: 'missing' | 'always'
}

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
    docker: file.docker ?? null,
    inDocker,
    spool: { directory: resolve(directory, file.spool), maxBytes: file.spool_max_bytes },
    drainTimeoutMs: file.drain_timeout * 1000,
    streamPartMs: file.stream_part * 1000,
    containers: file.containers.map(entry => {
      const { slots, http_errors, timeout, start_timeout, pull, ...kept } = entry
      const port = portOf(entry)
      return {
        ...kept,
        port,
        baseUrl: entry.url || localUrl(port, inDocker),
        managed: file.manage_containers && entry.url === '',
        slots: slots ?? file.slots,
        httpErrors: http_errors ?? file.http_errors,
        timeoutMs: (timeout ?? file.timeout) * 1000,
        startTimeoutMs: (start_timeout ?? file.start_timeout) * 1000,
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
}

export function localUrl(port: number, inDocker: boolean): string {
  return `http://${inDocker ? 'host.docker.internal' : 'localhost'}:${port}`
}

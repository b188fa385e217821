import { leanHeap } from '../../host/lean-heap.ts'

export type WorkerdOptions = {
  host: string
  port: number
  /** Loopback port on which any request runs the cron trigger once. */
  schedulePort: number
  /** File name of the bundle, beside the configuration. */
  module: string
  compatibilityDate: string
  compatibilityFlags: readonly string[]
  /** Vars and secrets. */
  vars: Readonly<Record<string, string>>
  durableObjects: readonly { binding: string; className: string }[]
}

/** Workers gives an isolate 128 MB: what does not fit there must fail here too. */
const heapMb = 128

/** workerd's configuration: the edge on one socket, and beside it what stands in for the platform's cron. */
export function workerdConfig(options: WorkerdOptions): string {
  const { host, port, schedulePort, module, compatibilityDate, compatibilityFlags, vars, durableObjects } =
    options
  const bindings = [
    ...durableObjects.map(
      ({ binding, className }) => `(name = ${quote(binding)}, durableObjectNamespace = ${quote(className)})`,
    ),
    ...Object.entries(vars).map(([name, value]) => `(name = ${quote(name)}, text = ${quote(value)})`),
  ]
  const namespaces = durableObjects.map(
    ({ className }) => `(className = ${quote(className)}, uniqueKey = ${quote(`infernet-${className}`)})`,
  )
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  v8Flags = ["--max-heap-size=${heapMb}", ${quote(leanHeap)}],
  services = [
    (name = "edge", worker = .edge),
    (name = "schedule", worker = .schedule),
    (name = "network", network = (allow = ["public", "private"]))
  ],
  sockets = [
    (name = "http", address = ${quote(`${host}:${port}`)}, http = (), service = "edge"),
    (name = "schedule", address = ${quote(`127.0.0.1:${schedulePort}`)}, http = (), service = "schedule")
  ]
);

const edge :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed ${quote(module)})],
  compatibilityDate = ${quote(compatibilityDate)},
  compatibilityFlags = [${compatibilityFlags.map(quote).join(', ')}],
  globalOutbound = "network",
  durableObjectNamespaces = [${namespaces.join(', ')}],
  durableObjectStorage = (inMemory = void),
  bindings = [
    ${bindings.join(',\n    ')}
  ]
);

const schedule :Workerd.Worker = (
  modules = [(name = "schedule.js", esModule = ${quote(scheduleModule)})],
  compatibilityDate = ${quote(compatibilityDate)},
  compatibilityFlags = ["service_binding_extra_handlers"],
  bindings = [(name = "EDGE", service = "edge")]
);
`
}

const scheduleModule =
  'export default { async fetch(_, env) { const { outcome } = await env.EDGE.scheduled({ cron: "* * * * *" }); return new Response(outcome, { status: outcome === "ok" ? 200 : 500 }) } }'

/** A text literal of Cap'n Proto, whose escapes are C's: JSON's `\u` is not among them. */
function quote(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to be escaped.
  const escaped = text.replace(/[\\"]/g, '\\$&').replace(/[\x00-\x1f]/g, byte => `\\x${hex(byte)}`)
  return `"${escaped}"`
}

function hex(byte: string): string {
  return byte.charCodeAt(0).toString(16).padStart(2, '0')
}

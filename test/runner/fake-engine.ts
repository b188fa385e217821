import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { label } from '../../src/runner/docker/spec.ts'
import { removeRules } from './rules.ts'

type Asked = { method: string; path: string; body: unknown }
type Made = {
  id: string
  name: string
  labels: Record<string, string>
  host: Record<string, unknown>
  server: Server | null
  startedAt: string
}
type Network = { Id: string; Name: string; Internal: boolean; Options: Record<string, string> }

/**
 * An engine on a socket of its own, for what no real one does when it is told to: hang, refuse, keep what it was told to kill. What it runs
 * answers HTTP where its port is published, but for a job that says `hang`.
 */
export async function startFakeEngine() {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-engine-'))
  const socket = join(directory, 'docker.sock')
  const made = new Map<string, Made>()
  let ids = 0
  const networks = new Map<string, Network>()
  const listeners = new Set<ServerResponse>()
  /** Of the runners that have made a network here. */
  const scopes = new Set<string>()
  const log: Asked[] = []
  const state = {
    hangs: (_asked: Asked): boolean => false,
    refuses: (_asked: Asked): string | null => null,
    /** Nothing that it runs answers anybody. */
    isMute: false,
    /** Requests that what it runs has answered. */
    answered: 0,
    /** What a container of that name has written, in bytes. */
    written: (_name: string): number => 0,
    version: { Version: '28.3.1', ApiVersion: '1.51', MinAPIVersion: '1.24' },
    /** What it waits for before it does what it was asked. */
    before: async (_asked: Asked): Promise<void> => {},
  }

  const find = (name: string) => made.get(name) ?? [...made.values()].find(({ id }) => id === name)

  function say(Action: string, { id, name }: Made): void {
    const event = JSON.stringify({ Action, Actor: { ID: id, Attributes: { name } } })
    for (const response of listeners) response.write(`${event}\n`)
  }

  /** @returns false when somebody else has its port. */
  async function start(container: Made): Promise<boolean> {
    if (container.server !== null) return true
    const bindings = container.host.PortBindings as Record<string, { HostPort: string }[]> | undefined
    const port = Number(bindings?.['3000/tcp']?.[0]?.HostPort ?? 0)
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      if (state.isMute || body.includes('"hang"')) return
      state.answered++
      response.setHeader('content-type', 'application/json')
      response.end('{"said": "hi"}')
    })
    const { promise, resolve } = Promise.withResolvers<boolean>()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => resolve(true))
    if (!(await promise)) return false
    container.server = server
    container.startedAt = new Date().toISOString()
    say('start', container)
    return true
  }

  async function end(container: Made): Promise<void> {
    const { server } = container
    container.server = null
    server?.closeAllConnections()
    if (server === null) return
    await new Promise<void>(resolve => server.close(() => resolve()))
    say('die', container)
  }

  type Reply = [status: number, json?: object]

  async function answer({ method, path, body }: Asked): Promise<Reply> {
    const url = new URL(path, 'http://docker')
    const [, kind = '', name = '', verb = ''] = url.pathname.replace(/^\/v[\d.]+/, '').split('/')
    const known: Record<string, object> = {
      version: state.version,
      _ping: {},
      info: { DockerRootDir: directory },
      images: { Id: 'image', RepoTags: [] },
    }
    if (known[kind]) return [200, known[kind]]
    if (kind === 'networks') return answerNetwork(method, name, body)
    if (name === 'create') {
      const { Labels = {}, HostConfig = {} } = body as Record<string, Record<string, string>>
      const id = `id-${++ids}`
      keep({ id, name: url.searchParams.get('name') ?? '', labels: Labels, host: HostConfig })
      return [201, { Id: id }]
    }
    if (name === 'json') return [200, list(url)]
    const container = find(name)
    if (container === undefined) return [404, { message: 'No such container' }]
    return await handle(container, method === 'DELETE' ? 'remove' : verb)
  }

  function list({ searchParams }: URL): object[] {
    const { label: wanted = [] }: { label?: string[] } = JSON.parse(searchParams.get('filters') ?? '{}')
    const has = ({ labels }: Made) =>
      wanted.every(pair => Object.entries(labels).some(([name, value]) => pair === `${name}=${value}`))
    return [...made.values()]
      .filter(has)
      .map(({ id, name, labels }) => ({ Id: id, Names: [`/${name}`], Labels: labels }))
  }

  function keep(container: Omit<Made, 'server' | 'startedAt'>): Made {
    const kept = { ...container, server: null, startedAt: '' }
    made.set(container.name, kept)
    return kept
  }

  function answerNetwork(method: string, name: string, body: unknown): Reply {
    if (name === 'create') {
      const { Labels, ...wanted } = body as Omit<Network, 'Id'> & { Labels: Record<string, string> }
      scopes.add(Labels[label.scope] ?? '')
      const Id = `network-${networks.size}`
      networks.set(Id, { ...wanted, Id })
      return [201, { Id }]
    }
    if (name === '') return [200, [...networks.values()]]
    if (method === 'DELETE') networks.delete(name)
    return method === 'DELETE' ? [204] : [404, { message: 'No such network' }]
  }

  async function handle(container: Made, verb: string): Promise<Reply> {
    if (verb === 'json') {
      const Running = container.server !== null
      const { id: Id, labels: Labels, host: HostConfig, startedAt: StartedAt } = container
      const SizeRw = state.written(container.name)
      const State = { Running, ExitCode: 0, StartedAt }
      return [200, { Id, State, NetworkSettings: {}, Config: { Labels }, HostConfig, SizeRw }]
    }
    const allocated = `driver failed programming external connectivity on endpoint ${container.name}: port is already allocated`
    if (verb === 'start') return (await start(container)) ? [204] : [500, { message: allocated }]
    await end(container)
    if (verb === 'remove') {
      made.delete(container.name)
      say('destroy', container)
    }
    return [204]
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request) text += chunk
    const asked = {
      method: request.method ?? '',
      path: request.url ?? '',
      body: text === '' ? null : JSON.parse(text),
    }
    log.push(asked)
    const refusal = state.refuses(asked)
    if (state.hangs(asked)) return
    const [, minor = '99'] = /^\/v1\.(\d+)/.exec(asked.path) ?? []
    const { MinAPIVersion: least } = state.version
    if (Number(minor) < Number(least.slice(2))) {
      const message = `client version 1.${minor} is too old. Minimum supported API version is ${least}, please upgrade`
      return void response.writeHead(400).end(JSON.stringify({ message }))
    }
    if (/\/events\?/.test(asked.path)) {
      response.writeHead(200).flushHeaders()
      listeners.add(response)
      return void response.on('close', () => listeners.delete(response))
    }
    await state.before(asked)
    if (refusal !== null) return void response.writeHead(500).end(JSON.stringify({ message: refusal }))
    const [status, json] = await answer(asked)
    response.writeHead(status).end(json && JSON.stringify(json))
  }

  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>(resolve => server.listen(socket, resolve))
  const close = async () => {
    server.closeAllConnections()
    await new Promise<void>(resolve => server.close(() => resolve()))
  }
  onTestFinished(async () => {
    await close()
    for (const container of made.values()) await end(container)
    await removeRules(scopes)
    await rm(directory, { recursive: true, force: true })
  })

  return {
    dockerHost: `unix://${socket}`,
    state,
    /** What it was asked, of a kind. */
    asked: (part: string) => log.filter(({ path }) => path.includes(part)),
    /** Names of what runs. */
    running: () => [...made].filter(([, container]) => container.server !== null).map(([name]) => name),
    idOf: (name: string) => made.get(name)?.id,
    labelsOf: (name: string) => made.get(name)?.labels,
    requestsOf: (name: string) => made.get(name)?.host.DeviceRequests,
    async run(name: string, labels: Made['labels'] = {}, host: Made['host'] = {}) {
      await start(keep({ id: name, name, labels, host }))
    },
    async end(name: string) {
      const container = made.get(name)
      if (container !== undefined) await end(container)
    },
    /** Ends the streams of events, as an engine does that is restarted. */
    hangUp() {
      for (const response of listeners) response.destroy()
    },
    close,
  }
}

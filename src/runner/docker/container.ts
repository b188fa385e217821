import * as v from 'valibot'
import { DownError } from '../cause.ts'
import type { Log } from '../log.ts'
import { sleep } from '../sleep.ts'
import { type Engine, EngineError } from './engine.ts'
import { freePort } from './free-port.ts'
import { askEngine, orNull, tellEngine } from './json.ts'
import { listLabelled } from './own.ts'
import { refusedBy } from './refused.ts'
import { label, type Spec } from './spec.ts'
import { UndeadError } from './undead.ts'

const Inspected = v.object({
  Id: v.string(),
  State: v.object({
    Running: v.boolean(),
    Paused: v.optional(v.boolean(), false),
    ExitCode: v.number(),
    OOMKilled: v.optional(v.boolean(), false),
    StartedAt: v.string(),
  }),
  NetworkSettings: v.object({ Networks: v.nullish(v.record(v.string(), v.unknown()), {}) }),
  Config: v.object({ Labels: v.nullish(v.record(v.string(), v.string()), {}) }),
  HostConfig: v.object({
    Memory: v.optional(v.number(), 0),
    PortBindings: v.nullish(
      v.record(v.string(), v.nullable(v.array(v.object({ HostPort: v.string() })))),
      {},
    ),
  }),
})
export type Inspected = v.InferOutput<typeof Inspected>

/** For one that is replaced, whose jobs are done. */
const replaceGraceSeconds = 10
/** For the engine's answer, beyond what the container is given. */
const answerMs = 10_000
/** To make one: a storage driver that copies the image takes its time. */
const createMs = 120_000
/** For a kill, and then for the process to go. */
const killMs = 5_000
const pollMs = 250
/** A host that is busy takes seconds to start a process, which says nothing of the container. */
const leastStartMs = 60_000

/** `isNew`: it did not run before. */
export type Started = { id: string; port: number; isNew: boolean }

export async function inspect(engine: Engine, name: string): Promise<Inspected | null> {
  return await orNull(askEngine(engine, { method: 'GET', path: `/containers/${name}/json` }, Inspected))
}

export type RunningOptions = {
  spec: Spec
  port: number
  /** It was given that port in place of its own, or another one wants the same: who has it, or moves, is a matter of when each was made. */
  isContested: boolean
  startTimeoutMs: number
  log: Log
  /** One of another spec runs, and is about to be removed; awaited. */
  onReplace: () => Promise<void>
  /** None of another spec is there any more. */
  onGone: () => void
  /** Once it has aborted, nothing is begun any more. What the engine is at is waited for. */
  signal: AbortSignal
}

/**
 * Has a container running as the spec says: one of the same spec is taken over, and started if it has stopped; one of another
 * spec is replaced. Answers the host port that it was given.
 * @throws the signal's reason, what the engine fails by, and DownError where one that is not ours has its name
 */
export async function ensureRunning(engine: Engine, options: RunningOptions): Promise<Started> {
  const { spec, port, log, onGone } = options
  const found = await inspect(engine, spec.name)
  if (found !== null && !isOwn(found, spec)) throw new DownError('container_unavailable', foreign(spec.name))
  const isSame = found?.Config.Labels[label.spec] === spec.hash
  if (found !== null && !isSame) {
    log.info('Replacing container, its configuration has changed', { container: spec.name })
    await end(engine, found, options)
  }
  onGone()
  if (found !== null && isSame) {
    const started = { id: found.Id, port: portOf(found) ?? port }
    const isWhole = isJoined(found, spec)
    if (found.State.Paused)
      await tell(engine, { path: `/containers/${found.Id}/unpause`, withinMs: answerMs })
    if (found.State.Running && isWhole) return { ...started, isNew: false }
    if (isWhole && (await start(engine, found.Id, options))) return { ...started, isNew: true }
    await end(engine, found, options)
  }
  return await createAndStart(engine, options)
}

function isOwn({ Config }: Inspected, { own }: Spec): boolean {
  return Object.entries(own).every(([name, value]) => Config.Labels[name] === value)
}

/** Whoever has made it may need it: a person has to say which of the two goes. */
function foreign(name: string): string {
  return `a container that this runner has not made has the name ${name}: remove it, or rename it (docker rename ${name} OTHER)`
}

/** As any other one that is not wanted any more: with time to end by itself. @throws UndeadError */
async function end(engine: Engine, { Id, State }: Inspected, { onReplace }: RunningOptions): Promise<void> {
  if (State.Running) {
    await onReplace()
    await stop(engine, Id, { graceSeconds: replaceGraceSeconds })
  }
  await remove(engine, Id)
}

async function createAndStart(engine: Engine, options: RunningOptions): Promise<Started> {
  const { spec, port, log } = options
  if (!(await isKept(engine, options))) {
    const id = await create(engine, options, port)
    if (await start(engine, id, options)) return { id, port, isNew: true }
    await remove(engine, id)
  }
  const spare = await freePort()
  log.warn('The port of a container is taken, using another', { container: spec.name, port, spare })
  const second = await create(engine, options, spare)
  if (await start(engine, second, options)) return { id: second, port: spare, isNew: true }
  throw new Error(`Ports ${port} and ${spare} are both taken`)
}

/**
 * Another one may have its port of an earlier configuration, also while it is down: it would be made anew if that were taken. An older version
 * has written none on it.
 */
async function isKept(engine: Engine, { spec, port, isContested }: RunningOptions): Promise<boolean> {
  if (!isContested) return false
  const { [label.scope]: scope = '', [label.container]: own = '' } = spec.own
  const others = (await listLabelled(engine, scope)).filter(({ id }) => id !== own)
  if (others.some(other => other.port === port)) return true
  const unwritten = others.filter(other => other.port === null)
  const found = await Promise.all(unwritten.map(({ dockerId }) => inspect(engine, dockerId)))
  return found.some(other => other !== null && portOf(other) === port)
}

async function create(
  engine: Engine,
  { spec, signal }: Pick<RunningOptions, 'spec' | 'signal'>,
  port: number,
): Promise<string> {
  signal.throwIfAborted()
  const path = `/containers/create?name=${spec.name}`
  const late = AbortSignal.timeout(createMs)
  const { Id } = await askEngine(
    engine,
    { method: 'POST', path, body: spec.create(port), signal: late },
    v.object({ Id: v.string() }),
  ).catch((error: unknown) => {
    throw refusedBy(error, { what: 'make', secrets: spec.secrets })
  })
  for (const { network, alias } of spec.joined)
    await tellEngine(engine, {
      method: 'POST',
      path: `/networks/${network}/connect`,
      body: { Container: Id, EndpointConfig: { Aliases: alias === null ? [] : [alias] } },
    })
  return Id
}

/** False when its host port is taken, which the engine tells in words alone. */
async function start(
  engine: Engine,
  id: string,
  { spec, startTimeoutMs, signal }: Pick<RunningOptions, 'spec' | 'startTimeoutMs' | 'signal'>,
): Promise<boolean> {
  signal.throwIfAborted()
  const withinMs = Math.max(startTimeoutMs, leastStartMs)
  const late = AbortSignal.timeout(withinMs)
  try {
    // Also when nobody wants it any more: the engine goes on with it all the same, and only then can it be stopped.
    await tellEngine(engine, { method: 'POST', path: `/containers/${id}/start`, signal: late })
    return true
  } catch (error) {
    if (late.aborted)
      throw new DownError('start_timeout', `Docker did not start it within ${withinMs / 1000} s`)
    if (
      error instanceof EngineError &&
      /port is already allocated|address already in use/i.test(error.message)
    )
      return false
    throw refusedBy(error, { what: 'start', secrets: spec.secrets })
  }
}

/**
 * Stops a container, and kills one that does not stop. Each has its deadline, since an engine may hang with a process that no signal
 * reaches, as of a GPU that is gone. `hurry`: once it has aborted, it is given no more time.
 * @throws UndeadError when it runs on, or nobody says that it does not.
 */
export async function stop(
  engine: Engine,
  id: string,
  { graceSeconds, hurry }: { graceSeconds: number; hurry?: AbortSignal | undefined },
): Promise<void> {
  const refused = await refusalOf(
    tell(engine, {
      path: `/containers/${id}/stop?t=${graceSeconds}`,
      withinMs: graceSeconds * 1000 + answerMs,
      hurry,
    }),
  )
  if (refused === null) return
  // One that has ended meanwhile cannot be killed: what counts is whether it runs.
  const unkilled = await refusalOf(tell(engine, { path: `/containers/${id}/kill`, withinMs: killMs }))
  if (await runsOn(engine, id)) throw new UndeadError(id, unkilled ?? refused)
}

async function refusalOf(told: Promise<unknown>): Promise<unknown> {
  return await told.then(
    () => null,
    (error: unknown) => error,
  )
}

type Told = { method?: 'POST' | 'DELETE'; path: string; withinMs: number; hurry?: AbortSignal | undefined }

async function tell(engine: Engine, { method = 'POST', path, withinMs, hurry }: Told): Promise<void> {
  const late = AbortSignal.timeout(withinMs)
  const signal = hurry === undefined ? late : AbortSignal.any([late, hurry])
  await orNull(tellEngine(engine, { method, path, signal }))
}

/** Looks for as long as a killed process may take to go. An engine that hangs with it says nothing, one that is not there throws. */
async function runsOn(engine: Engine, id: string): Promise<boolean> {
  const signal = AbortSignal.timeout(killMs)
  while (!signal.aborted) {
    const asked = askEngine(engine, { method: 'GET', path: `/containers/${id}/json`, signal }, Inspected)
    const found = await orNull(asked).catch((error: unknown) => {
      if (signal.aborted) return undefined
      throw error
    })
    if (found === null || found?.State.Running === false) return false
    await sleep(pollMs, signal)
  }
  return true
}

/**
 * With its disk, its anonymous volumes included: they would stay for ever, and nobody knows whose they were.
 * @throws UndeadError as `stop` does
 */
export async function remove(engine: Engine, id: string): Promise<void> {
  const path = `/containers/${id}?force=true&v=true`
  const refused = await refusalOf(tell(engine, { method: 'DELETE', path, withinMs: answerMs }))
  if (refused === null) return
  if (await runsOn(engine, id)) throw new UndeadError(id, refused)
  throw refused
}

/** False when it was made by a process that was killed before it had joined it to its networks. */
function isJoined({ NetworkSettings }: Inspected, { joined }: Spec): boolean {
  return joined.every(({ network }) => network in NetworkSettings.Networks)
}

export function portOf({ HostConfig }: Inspected): number | null {
  // One port is published, whichever it is inside.
  const bound = Object.values(HostConfig.PortBindings)[0]?.[0]?.HostPort
  return bound === undefined ? null : Number(bound)
}

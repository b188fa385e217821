import * as v from 'valibot'
import type { Log } from '../log.ts'
import { type Engine, EngineError } from './engine.ts'
import { freePort } from './free-port.ts'
import { askEngine, orNull, tellEngine } from './json.ts'
import { innerPort, label, type Spec } from './spec.ts'

const Inspected = v.object({
  Id: v.string(),
  State: v.object({ Running: v.boolean(), ExitCode: v.number() }),
  Config: v.object({ Labels: v.nullish(v.record(v.string(), v.string()), {}) }),
  HostConfig: v.object({
    PortBindings: v.nullish(
      v.record(v.string(), v.nullable(v.array(v.object({ HostPort: v.string() })))),
      {},
    ),
  }),
})
export type Inspected = v.InferOutput<typeof Inspected>

/** For the engine's answer, beyond what the container is given. */
const answerMs = 10_000

export type Started = { id: string; port: number }

export async function inspect(engine: Engine, name: string): Promise<Inspected | null> {
  return await orNull(askEngine(engine, { method: 'GET', path: `/containers/${name}/json` }, Inspected))
}

/**
 * Has a container running as the spec says: one of the same spec is taken over, and started if it has stopped; one of another
 * spec is replaced. Answers the host port that it was given.
 */
export async function ensureRunning(
  engine: Engine,
  { spec, port, log }: { spec: Spec; port: number; log: Log },
): Promise<Started> {
  const found = await inspect(engine, spec.name)
  if (found !== null && found.Config.Labels[label.spec] !== spec.hash) {
    log.info('Replacing container, its configuration has changed', { container: spec.name })
    await remove(engine, found.Id)
  } else if (found !== null) {
    if (found.State.Running || (await start(engine, found.Id)))
      return { id: found.Id, port: portOf(found) ?? port }
    await remove(engine, found.Id)
  }
  return await createAndStart(engine, { spec, port, log })
}

async function createAndStart(
  engine: Engine,
  { spec, port, log }: { spec: Spec; port: number; log: Log },
): Promise<Started> {
  const id = await create(engine, spec, port)
  if (await start(engine, id)) return { id, port }
  await remove(engine, id)
  const spare = await freePort()
  log.warn('The port of a container is taken, using another', { container: spec.name, port, spare })
  const second = await create(engine, spec, spare)
  if (await start(engine, second)) return { id: second, port: spare }
  throw new Error(`Ports ${port} and ${spare} are both taken`)
}

async function create(engine: Engine, spec: Spec, port: number): Promise<string> {
  const path = `/containers/create?name=${spec.name}`
  const { Id } = await askEngine(
    engine,
    { method: 'POST', path, body: spec.create(port) },
    v.object({ Id: v.string() }),
  )
  return Id
}

/** False when its host port is taken, which the engine tells in words alone. */
async function start(engine: Engine, id: string): Promise<boolean> {
  try {
    await tellEngine(engine, { method: 'POST', path: `/containers/${id}/start` })
    return true
  } catch (error) {
    if (
      error instanceof EngineError &&
      /port is already allocated|address already in use/i.test(error.message)
    )
      return false
    throw error
  }
}

/** An engine that hangs is given up: the end of a runner waits for this. */
export async function stop(engine: Engine, id: string, graceSeconds: number): Promise<void> {
  const signal = AbortSignal.timeout(graceSeconds * 1000 + answerMs)
  await orNull(
    tellEngine(engine, { method: 'POST', path: `/containers/${id}/stop?t=${graceSeconds}`, signal }),
  )
}

async function remove(engine: Engine, id: string): Promise<void> {
  await orNull(tellEngine(engine, { method: 'DELETE', path: `/containers/${id}?force=true` }))
}

function portOf({ HostConfig }: Inspected): number | null {
  const bound = HostConfig.PortBindings[innerPort]?.[0]?.HostPort
  return bound === undefined ? null : Number(bound)
}

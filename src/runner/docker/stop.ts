import type { Config } from '../config/config.ts'
import type { Log } from '../log.ts'
import { messageOf } from '../trouble.ts'
import { remove, stop } from './container.ts'
import type { Engine } from './engine.ts'
import { type InsistOptions, insist } from './insist.ts'
import { listOwn, type Own } from './own.ts'
import { scopeOf } from './scope.ts'

type OwnOptions = { engine: Engine; config: Pick<Config, 'spool'> }
/** `hurry`: once it has aborted, what is being stopped is killed. */
export type Patience = { graceSeconds: number; hurry?: AbortSignal | undefined }
export type StopOptions = OwnOptions & Patience & { log: Log }

type AllOptions = StopOptions & Omit<InsistOptions, 'ending'>

/** At the end: whoever waits for a slow list longer has no time left to stop anything. */
const listMs = 3_000

/**
 * Stops containers of this runner, side by side, and again while an engine fails and there is time: all of them together have their grace
 * once. They stay, stopped, for the next start. What may run on is told in the log.
 */
export async function stopContainers(ids: readonly string[], options: AllOptions): Promise<void> {
  const { engine, graceSeconds, hurry, log } = options
  const graceMs = graceSeconds * 1000
  const ending = AbortSignal.timeout(graceMs)
  const endsAt = performance.now() + graceMs
  /** Whoever was not told before has a second. */
  const left = () => Math.min(graceSeconds, Math.max(1, Math.ceil((endsAt - performance.now()) / 1000)))
  await Promise.all(
    ids.map(async id => {
      const stopIt = async () => {
        const dockerId = await foundOrKnown(id, options)
        if (dockerId !== undefined) await stop(engine, dockerId, { graceSeconds: left(), hurry })
      }
      const failure = await insist(id, stopIt, { ...options, ending })
      if (failure === null) return
      log.warn('A container could not be stopped, and may run on', {
        container: id,
        error: messageOf(failure),
      })
    }),
  )
}

/** Docker's id of a container: where the engine does not list it, that of what was last started. @throws where none is known */
async function foundOrKnown(
  id: string,
  { engine, config, containers, hurry }: AllOptions,
): Promise<string | undefined> {
  const known = containers.itself(id)?.dockerId
  const late = AbortSignal.timeout(listMs)
  const signal = known === undefined || hurry === undefined ? late : AbortSignal.any([late, hurry])
  try {
    const [own] = await listOwn(engine, scopeOf(config), { id, signal })
    return own?.dockerId
  } catch (error) {
    if (known === undefined) throw error
    return known
  }
}

/** Stops one, and removes it, which kills what did not stop. @throws what the removal fails by */
export async function removeContainer(id: string, options: StopOptions): Promise<void> {
  // What that fails by is no matter where the removal succeeds.
  await stopOwn(id, options).catch(() => {})
  await removeOwn(id, options)
}

/** Resolves when it does not run, or the runner ends. */
export async function untilStopped(id: string, options: StopOptions & InsistOptions): Promise<void> {
  await insist(id, () => stopOwn(id, options), options)
}

/** Resolves when it is removed, or the runner ends. */
export async function untilGone(id: string, options: StopOptions & InsistOptions): Promise<void> {
  await insist(id, () => removeContainer(id, options), options)
}

async function stopOwn(id: string, options: OwnOptions & Patience): Promise<void> {
  const own = await findOwn(id, options)
  if (own !== undefined) await stop(options.engine, own.dockerId, options)
}

/** Kills it where it runs. @throws what the engine fails by */
export async function removeOwn(id: string, options: OwnOptions): Promise<void> {
  const own = await findOwn(id, options)
  if (own !== undefined) await remove(options.engine, own.dockerId)
}

/** One at most: the engine gives a name once. */
async function findOwn(id: string, { engine, config }: OwnOptions): Promise<Own | undefined> {
  const [own] = await listOwn(engine, scopeOf(config), { id })
  return own
}

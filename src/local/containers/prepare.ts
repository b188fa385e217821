import type { Engine } from '../../runner/docker/engine.ts'
import { findEngine } from './engine.ts'
import { chat, clock, type Example, factor, helloWorld, ocr } from './examples.ts'
import { ensureImage } from './images.ts'
import { installPackages } from './packages.ts'
import { type ContainerProcess, startProcess } from './process.ts'
import { withWeights } from './weights.ts'

/** A compute container the runner may offer: an image that it starts itself, or a process that runs already. */
export type LocalContainer = {
  id: string
  description: string
  openai: boolean
  /** Least payment by token, in base units; absent: anything. */
  acceptedPayments?: Record<string, string>
  proves: boolean
  /** Of weights that are not part of its packages. */
  model?: string
} & ({ kind: 'image'; image: string } | { kind: 'process'; url: string })

export type PreparedContainers = {
  containers: LocalContainer[]
  docker: { available: boolean; reason?: string; version?: string }
  /** Ends the processes; images stay. */
  close(): Promise<void>
}

type Log = (line: string) => void

/**
 * Gets the example containers ready for the local stack: images where a Docker engine answers, processes elsewhere.
 *
 * A container that cannot be had as an image is started as a process; one that cannot be had at all is left out, with
 * the reason in the log.
 */
export async function prepareContainers(options: {
  docker: 'auto' | 'off'
  log: Log
}): Promise<PreparedContainers> {
  const { log } = options
  const found =
    options.docker === 'off'
      ? { available: false as const, reason: 'Docker is switched off' }
      : await findEngine(process.env)
  log(found.available ? `Docker engine ${found.version}` : `${found.reason}; containers run as processes`)

  const processes: ContainerProcess[] = []
  const prepare = (example: Example) =>
    prepareOne(example, { log, processes, ...(found.available && { engine: found.engine }) })
  const prepared = await Promise.all([helloWorld, clock, factor, ocr, chat].map(prepare))
  if (found.available) await found.engine.close()

  return {
    containers: prepared.filter(container => container !== undefined),
    docker: found.available
      ? { available: true, version: found.version }
      : { available: false, reason: found.reason },
    close: async () => {
      await Promise.all(processes.map(container => container.close()))
    },
  }
}

async function prepareOne(
  example: Example,
  { log, engine, processes }: { log: Log; engine?: Engine; processes: ContainerProcess[] },
): Promise<LocalContainer | undefined> {
  try {
    const ready = await withWeights(example, log)
    const { id, description, openai, proves, image, weights } = ready
    const offer = { id, description, openai, proves, ...(weights && { model: weights.name }) }
    if (engine && (await hasImage(engine, ready, log))) return { ...offer, kind: 'image', image }
    await installPackages(ready, log)
    const container = await startProcess(ready, log)
    processes.push(container)
    return { ...offer, kind: 'process', url: container.url }
  } catch (error) {
    log(`${example.id} is left out: ${explain(error)}`)
    return undefined
  }
}

async function hasImage(engine: Engine, example: Example, log: Log): Promise<boolean> {
  try {
    await ensureImage(engine, example, log)
    return true
  } catch (error) {
    log(`${example.image} cannot be built (${explain(error)}); it runs as a process`)
    return false
  }
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${explain(error.cause)}`
}

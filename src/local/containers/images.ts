import { join } from 'node:path'
import type { Engine } from '../../runner/docker/engine.ts'
import { tellEngine } from '../../runner/docker/json.ts'
import { build, isBuiltFrom } from './build.ts'
import type { Example } from './examples.ts'
import { hashInputs, packFile, sourceFiles, weightsPath } from './files.ts'
import { installPackages } from './packages.ts'
import { buildOnTheSpot } from './spot.ts'

/** Part of every input hash: raise it when images are to be made differently of the same files. */
const recipe = '1'

/** What the examples' Dockerfiles start from. */
const parentImage = 'node:22-slim'

/** How long a registry may take to name a manifest. */
const registryTimeoutMs = 4000

/** Makes sure that an example's image is there and up to date. */
export async function ensureImage(
  engine: Engine,
  example: Example,
  log: (line: string) => void,
): Promise<void> {
  const inputs = await hashInputs(example, recipe)
  if (await isBuiltFrom(engine, example.image, inputs)) return log(`${example.image}: up to date`)

  const started = performance.now()
  if (await parentIsAvailable(engine)) {
    log(`${example.image}: building its Dockerfile`)
    const failure = await buildDockerfile(engine, example, inputs)
    if (!failure) return log(`${example.image}: built in ${seconds(started)}`)
    log(`${failure.message}; building it on the spot`)
  } else {
    log(`${example.image}: no image registry answers, so it is built of this machine's Node`)
  }
  await installPackages(example, log)
  const building = performance.now()
  await buildOnTheSpot(engine, example, inputs)
  log(`${example.image}: built in ${seconds(building)}`)
}

async function buildDockerfile(engine: Engine, example: Example, inputs: string): Promise<Error | undefined> {
  const names = await sourceFiles(example)
  const entries = await Promise.all(names.map(name => packFile(join(example.folder, name), name)))
  // The Dockerfile downloads only what does not come with it.
  if (example.weights) entries.push(await packFile(example.weights.path, weightsPath(example.weights)))
  return await build(engine, { image: example.image, inputs, entries }).then(
    () => undefined,
    (error: Error) => error,
  )
}

/** True when the parent image is here already or when the engine can learn about it from its registry. */
async function parentIsAvailable(engine: Engine): Promise<boolean> {
  return (
    (await succeeds(engine, `/images/${parentImage}/json`)) ||
    (await succeeds(engine, `/distribution/${parentImage}/json`))
  )
}

async function succeeds(engine: Engine, path: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(registryTimeoutMs)
    await tellEngine(engine, { method: 'GET', path, signal })
    return true
  } catch {
    // A refusal and no answer in time are answers here: the caller has another way.
    return false
  }
}

function seconds(started: number): string {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`
}

import { Readable } from 'node:stream'
import * as v from 'valibot'
import { type Engine, EngineError } from '../../runner/docker/engine.ts'
import { findImage } from '../../runner/docker/find-image.ts'
import { tellEngine } from '../../runner/docker/json.ts'
import { type Entry, tar } from './tar.ts'

/** The label that names the inputs an image was built from. */
const inputsLabel = 'infernet-edge.inputs'

export type BuildOptions = { image: string; inputs: string; entries: Iterable<Entry> }

/** Whether there is such an image and it was built from these inputs. */
export async function isBuiltFrom(engine: Engine, image: string, inputs: string): Promise<boolean> {
  return (await findImage(engine, image))?.labels[inputsLabel] === inputs
}

/** Has the engine build an image of the archive made of `entries`, which holds a `Dockerfile`, in place of the last. */
export async function build(engine: Engine, options: BuildOptions): Promise<void> {
  const last = await findImage(engine, options.image)
  const failure = await tryBuild(engine, options)
  if (failure !== undefined) throw new Error(`building ${options.image}: ${failure.trim()}`)
  if (last?.labels[inputsLabel]) await removeReplaced(engine, last.id)
}

/** @returns why the engine did not build it, if it did not */
async function tryBuild(
  engine: Engine,
  { image, inputs, entries }: BuildOptions,
): Promise<string | undefined> {
  const query = new URLSearchParams({
    t: image,
    labels: JSON.stringify({ [inputsLabel]: inputs }),
    forcerm: '1',
  })
  try {
    const { body } = await engine.send({
      method: 'POST',
      path: `/build?${query}`,
      headers: { 'content-type': 'application/x-tar' },
      body: Readable.from(tar(entries)),
    })
    return findError(await body.text())
  } catch (error) {
    if (error instanceof EngineError) return error.message
    throw error
  }
}

/** Frees the disk of an image that a new one took the name of. The engine refuses while something is made of it. */
async function removeReplaced(engine: Engine, id: string): Promise<void> {
  const image = await findImage(engine, id)
  if (image === null || image.tags.length > 0) return
  await tellEngine(engine, { method: 'DELETE', path: `/images/${id}` }).catch((error: unknown) => {
    if (!(error instanceof EngineError)) throw error
  })
}

/** A build that fails still answers 200; the error is one of the lines of JSON that follow. */
function findError(output: string): string | undefined {
  for (const line of output.split('\n')) {
    if (!line.includes('"error"')) continue
    const message: unknown = JSON.parse(line)
    if (v.is(v.object({ error: v.string() }), message)) return message.error
  }
  return undefined
}

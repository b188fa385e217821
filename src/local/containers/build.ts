import { Readable } from 'node:stream'
import * as v from 'valibot'
import type { Engine } from './engine.ts'
import { type Entry, tar } from './tar.ts'

/** The label that names the inputs an image was built from. */
const inputsLabel = 'infernet-edge.inputs'

const Image = v.object({
  Id: v.string(),
  RepoTags: v.nullish(v.array(v.string()), []),
  Config: v.object({ Labels: v.nullish(v.record(v.string(), v.string())) }),
})

export type BuiltImage = { id: string; tags: string[]; inputs: string | undefined }

/** @returns the image and the hash of the inputs it was built from, or undefined when there is no such image */
export async function findImage(engine: Engine, image: string): Promise<BuiltImage | undefined> {
  const { statusCode, body } = await engine.call({ method: 'GET', path: `/images/${image}/json` })
  const answer = await body.json()
  if (statusCode === 404) return undefined
  if (statusCode !== 200)
    throw new Error(`asking the Docker engine about ${image}: ${JSON.stringify(answer)}`)
  const { Id: id, RepoTags: tags, Config: config } = v.parse(Image, answer)
  return { id, tags, inputs: config.Labels?.[inputsLabel] }
}

/** Has the engine build an image of the archive made of `entries`, which holds a `Dockerfile`, in place of the last. */
export async function build(
  engine: Engine,
  options: { image: string; inputs: string; entries: Iterable<Entry> },
): Promise<void> {
  const last = await findImage(engine, options.image)
  const query = new URLSearchParams({
    t: options.image,
    labels: JSON.stringify({ [inputsLabel]: options.inputs }),
    forcerm: '1',
  })
  const { statusCode, body } = await engine.call({
    method: 'POST',
    path: `/build?${query}`,
    headers: { 'content-type': 'application/x-tar' },
    body: Readable.from(tar(options.entries)),
  })
  const output = await body.text()
  const failure = statusCode === 200 ? findError(output) : output
  if (failure !== undefined) throw new Error(`building ${options.image}: ${failure.trim()}`)
  if (last?.inputs) await removeReplaced(engine, last.id)
}

/** Frees the disk of an image that a new one took the name of. The engine keeps it while something is made of it. */
async function removeReplaced(engine: Engine, id: string): Promise<void> {
  const image = await findImage(engine, id)
  if (image === undefined || image.tags.length > 0) return
  const { body } = await engine.call({ method: 'DELETE', path: `/images/${id}` })
  await body.dump()
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

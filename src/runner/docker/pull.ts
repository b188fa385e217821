import * as v from 'valibot'
import type { Engine } from './engine.ts'
import { linesOf } from './lines.ts'
import { splitReference } from './reference.ts'

/** Bytes of the layers that are known so far. */
export type Progress = { bytes: number; totalBytes: number }

export type PullOptions = {
  image: string
  /** `X-Registry-Auth`; null: nobody. */
  auth: string | null
  onProgress: (progress: Progress) => void
  signal: AbortSignal
}

const count = v.pipe(v.number(), v.minValue(0))
const Line = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    status: v.optional(v.string(), ''),
    id: v.optional(v.string()),
    progressDetail: v.optional(v.object({ current: v.optional(count), total: v.optional(count) }), {}),
    error: v.optional(v.string()),
  }),
)

/** Has the engine pull an image. @throws what the registry said, EngineError, or the signal's reason. */
export async function pull(engine: Engine, { image, auth, onProgress, signal }: PullOptions): Promise<void> {
  const { name, tag } = splitReference(image)
  const path = `/images/create?fromImage=${encodeURIComponent(name)}&tag=${encodeURIComponent(tag)}`
  const headers: Record<string, string> = auth === null ? {} : { 'x-registry-auth': auth }
  const { body } = await engine.send({ method: 'POST', path, headers, signal })
  const layers = new Map<string, Progress>()
  for await (const line of linesOf(body)) {
    const parsed = v.safeParse(Line, line)
    if (!parsed.success) continue
    const { status, id, progressDetail, error } = parsed.output
    if (error !== undefined) throw new Error(error)
    if (id === undefined || !note(layers, { id, status, ...progressDetail })) continue
    onProgress(sum(layers))
  }
}

type Told = { id: string; status: string; current?: number | undefined; total?: number | undefined }

/** Whether there is news of a layer. Its extraction is told in the same fields as its download, and is not counted. */
function note(layers: Map<string, Progress>, { id, status, current, total }: Told): boolean {
  const layer = layers.get(id)
  if (status === 'Downloading' && total !== undefined)
    layers.set(id, { bytes: current ?? 0, totalBytes: total })
  else if (status === 'Download complete' && layer) layer.bytes = layer.totalBytes
  else return false
  return true
}

function sum(layers: ReadonlyMap<string, Progress>): Progress {
  let [bytes, totalBytes] = [0, 0]
  for (const layer of layers.values()) {
    bytes += layer.bytes
    totalBytes += layer.totalBytes
  }
  return { bytes, totalBytes }
}

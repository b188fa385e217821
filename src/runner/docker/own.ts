import * as v from 'valibot'
import type { Engine } from './engine.ts'
import { askEngine } from './json.ts'
import { label, nameOf } from './spec.ts'

const Listed = v.array(
  v.object({
    Id: v.string(),
    Names: v.nullish(v.array(v.string()), []),
    Labels: v.record(v.string(), v.string()),
  }),
)

/** A list is made of what the engine remembers: it hangs with no container. */
const withinMs = 10_000

/** A container that this runner has made: Docker's id of it, and that of the configuration. */
export type Own = { dockerId: string; id: string }
/** `port`: that it was made with; null: it does not say. */
type Labelled = Own & { names: readonly string[]; port: number | null }
/** `id`: of this one alone. `signal`: for whoever has less time than the usual. */
export type Listing = { id?: string; signal?: AbortSignal }

/**
 * What has this runner's labels, whether it runs or not, or of one id. It may be somebody else's: what is made of an image that was
 * committed of one of ours has its labels too.
 * @throws what the engine fails by
 */
export async function listLabelled(
  engine: Engine,
  scope: string,
  { id, signal }: Listing = {},
): Promise<Labelled[]> {
  const labels = [`${label.scope}=${scope}`, ...(id === undefined ? [] : [`${label.container}=${id}`])]
  const found = await list(engine, labels, signal)
  return found.flatMap(({ Id, Names, Labels }) => {
    const { [label.container]: of, [label.port]: port } = Labels
    if (of === undefined) return []
    return [{ dockerId: Id, id: of, names: Names, port: port === undefined ? null : Number(port) }]
  })
}

async function list(engine: Engine, labels: readonly string[], signal?: AbortSignal) {
  const path = `/containers/json?all=1&filters=${encodeURIComponent(JSON.stringify({ label: labels }))}`
  return await askEngine(engine, { method: 'GET', path, withinMs, ...(signal && { signal }) }, Listed)
}

/**
 * This runner's containers, or the one of one id: by their labels and their name, since anybody can have made one that has either.
 * @throws what the engine fails by
 */
export async function listOwn(engine: Engine, scope: string, listing: Listing = {}): Promise<Own[]> {
  const labelled = await listLabelled(engine, scope, listing)
  return labelled.filter(({ id, names }) => names.includes(`/${nameOf(scope, id)}`))
}

import * as v from 'valibot'
import type { Engine } from './engine.ts'
import { askEngine, orNull } from './json.ts'

const Image = v.object({
  Id: v.string(),
  RepoTags: v.nullish(v.array(v.string()), []),
  RepoDigests: v.nullish(v.array(v.string()), []),
  Config: v.nullish(v.object({ Labels: v.nullish(v.record(v.string(), v.string()), {}) })),
})

/** `digests`: under what names registries have it, as `name@sha256:…`; none of one that was built here. */
export type FoundImage = { id: string; tags: string[]; digests: string[]; labels: Record<string, string> }

/** An image of the engine's own store, by its reference or id; null when it is not there. */
export async function findImage(engine: Engine, image: string): Promise<FoundImage | null> {
  const found = await orNull(askEngine(engine, { method: 'GET', path: `/images/${image}/json` }, Image))
  return (
    found && {
      id: found.Id,
      tags: found.RepoTags,
      digests: found.RepoDigests,
      labels: found.Config?.Labels ?? {},
    }
  )
}

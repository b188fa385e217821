import * as v from 'valibot'
import type { Engine } from './engine.ts'
import { askEngine, orNull } from './json.ts'

const Sized = v.object({
  SizeRw: v.optional(v.number(), 0),
  Mounts: v.nullish(v.array(v.object({ Type: v.string(), Name: v.optional(v.string(), '') })), []),
})
const Volumes = v.object({
  Volumes: v.nullish(
    v.array(
      v.object({ Name: v.string(), UsageData: v.nullish(v.object({ Size: v.number() }), { Size: 0 }) }),
    ),
    [],
  ),
})

/** For a walk through a million files. */
const walkMs = 600_000
/** Docker names a volume that nobody has named by 32 random bytes. */
const anonymous = /^[0-9a-f]{64}$/

/**
 * What a container has written, in bytes: its own layer and its anonymous volumes. Null when it is gone. The engine walks through all of
 * the files for an answer, and of volumes through everybody's.
 */
export async function diskUse(engine: Engine, name: string): Promise<number | null> {
  const found = await orNull(
    askEngine(
      engine,
      { method: 'GET', path: `/containers/${name}/json?size=1`, signal: AbortSignal.timeout(walkMs) },
      Sized,
    ),
  )
  if (found === null) return null
  const own = new Set(found.Mounts.map(mount => mount.Name).filter(volume => anonymous.test(volume)))
  return found.SizeRw + (own.size === 0 ? 0 : await volumesUse(engine, own))
}

async function volumesUse(engine: Engine, own: ReadonlySet<string>): Promise<number> {
  const { Volumes: all } = await askEngine(
    engine,
    { method: 'GET', path: '/system/df?type=volume', signal: AbortSignal.timeout(walkMs) },
    Volumes,
  )
  const sizes = all.filter(({ Name }) => own.has(Name)).map(({ UsageData }) => Math.max(0, UsageData.Size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

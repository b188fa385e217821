import { readFileSync } from 'node:fs'
import { parse } from 'smol-toml'
import * as v from 'valibot'

/**
 * What the local edge takes from `wrangler.toml`. Read here rather than through wrangler, whose import alone costs two seconds at
 * each start; `npm run check:deploy` has wrangler read the same file.
 */
const Settings = v.object({
  main: v.string(),
  compatibility_date: v.string(),
  compatibility_flags: v.optional(v.array(v.string()), []),
  alias: v.optional(v.record(v.string(), v.string()), {}),
  vars: v.optional(v.record(v.string(), v.string()), {}),
  durable_objects: v.object({
    bindings: v.array(v.object({ name: v.string(), class_name: v.string() })),
  }),
})
export type Settings = v.InferOutput<typeof Settings>

export function readSettings(path: string): Settings {
  return v.parse(Settings, parse(readFileSync(path, 'utf8')))
}

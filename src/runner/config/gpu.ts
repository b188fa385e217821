import * as v from 'valibot'
import { flag, integer } from './fields.ts'

/** Which GPUs a container gets: none, all, these (by index or UUID, as Docker names them), or so many of those that are free. */
export type GpuChoice = boolean | { devices: string[] } | { count: number }

/** An index, one with that of a MIG instance, or the UUID of either. */
const device = /^(\d{1,3}(:\d{1,3})?|(GPU|MIG)-[A-Za-z0-9/-]{1,80})$/

const Devices = v.pipe(
  v.array(v.string()),
  v.transform(names => names.map(name => name.trim())),
  v.check(
    names => names.length > 0 && names.every(name => device.test(name)),
    'must name GPUs by index or UUID',
  ),
  v.check(names => new Set(names).size === names.length, 'names a GPU twice'),
  v.transform(devices => ({ devices })),
)

const ambiguous = 'is ambiguous: write true or false, or ["0"] for the GPU with that index'

export const GpuChoice = v.pipe(
  v.unknown(),
  v.check(value => value !== '0' && value !== '1', ambiguous),
  v.union(
    [
      flag,
      v.pipe(
        v.array(v.union([v.string(), v.number()])),
        v.transform(names => names.map(String)),
        Devices,
      ),
      v.pipe(
        v.string(),
        v.transform(text => text.split(',')),
        Devices,
      ),
      v.pipe(
        v.object({ count: integer(1, 64) }),
        v.transform(({ count }) => ({ count })),
      ),
    ],
    'must be true, false, GPUs such as "0,1" or ["GPU-..."], or {"count": 1}',
  ),
)

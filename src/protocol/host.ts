import * as v from 'valibot'
import { ContainerId } from './container.ts'
import { limits } from './limits.ts'
import { Text } from './text.ts'

/** What a runner tells of its host, beside its containers: for people, and for whoever chooses a host. */

const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const words = (most: number) => v.pipe(Text, v.maxLength(most))

/** A GPU as its driver tells it. null: the driver does not say, as of utilization where the GPU is cut into MIG instances. */
export const Gpu = v.object({
  index: count,
  uuid: words(128),
  name: words(128),
  driver: words(64),
  memory_mib: v.nullable(count),
  memory_used_mib: v.nullable(count),
  utilization: v.pipe(v.nullable(count), v.description('Percent of the last second or less that it worked.')),
  temperature: v.pipe(v.nullable(v.number()), v.description('Degrees Celsius.')),
  problem: v.pipe(v.nullable(words(256)), v.description('Why it cannot be used, in its driver’s words.')),
})
export type Gpu = v.InferOutput<typeof Gpu>

/** Something about a host that keeps it from working. */
export const Finding = v.object({
  code: v.pipe(words(64), v.description('What is wrong, for programs: `gpu_lost`, `disk_low`, ...')),
  detail: v.pipe(words(512), v.description('What is wrong, for people.')),
  containers: v.pipe(
    v.nullable(v.pipe(v.array(ContainerId), v.maxLength(limits.findingContainers))),
    v.description('Nothing is claimed for these, of which the first are named; null: nothing at all.'),
  ),
})
export type Finding = v.InferOutput<typeof Finding>

export const HostReport = v.object({
  mode: v.pipe(
    v.picklist(['run', 'pause', 'drain']),
    v.description('The mode the runner is in, which may lag behind what it was told.'),
  ),
  gpus: v.pipe(v.array(Gpu), v.maxLength(limits.gpusPerHost)),
  findings: v.pipe(v.array(Finding), v.maxLength(limits.findings)),
})
export type HostReport = v.InferOutput<typeof HostReport>

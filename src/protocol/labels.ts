import * as v from 'valibot'
import { dictionary } from './dictionary.ts'
import { limits } from './limits.ts'
import { Text } from './text.ts'

/** What hosts say they have, and what jobs ask of the host that computes them. */

const Name = v.pipe(
  v.string(),
  v.regex(/^[a-z][a-z0-9_.-]{0,62}$/, 'must be 1-63 of a-z 0-9 _ . - and begin with a letter'),
)
const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1e9))
const text = v.pipe(Text, v.trim(), v.minLength(1), v.maxLength(128))
const value = v.union([text, count], 'must be text, or a whole number from 0')

/** Of a host: all values that each label has. */
export const Labels = v.pipe(
  dictionary(Name, v.pipe(v.array(value), v.maxLength(64))),
  v.check(labels => Object.keys(labels).length <= 32, 'must have at most 32 labels'),
  v.check(
    labels => JSON.stringify(labels).length <= limits.labelChars,
    `must be at most ${limits.labelChars} characters`,
  ),
)
export type Labels = v.InferOutput<typeof Labels>

/** What a host has, and what of its GPUs each container was given, which that one has beside it. */
export type HostLabels = { labels: Labels; gpu_labels: readonly { id: string; labels: Labels }[] }

/** Of a job: text that the label must have, of `gpu` as words of a product's name; a number that it must reach. */
export const Requires = v.pipe(
  dictionary(Name, value),
  v.check(requires => Object.keys(requires).length <= 8, 'must have at most 8 labels'),
  v.check(
    requires => Object.entries(requires).every(([name, wanted]) => plain(name, wanted) !== ''),
    'must name something',
  ),
)
export type Requires = v.InferOutput<typeof Requires>

/** Products are written in many ways: `NVIDIA A100-SXM4-80GB` is the words `nvidia a100 sxm4 80gb`. Other text only loses its case. */
function plain(name: string, wanted: string | number): string | number {
  if (typeof wanted === 'number') return wanted
  const lower = wanted.trim().toLowerCase()
  return name === 'gpu' ? lower.replace(/[^\p{L}\p{N}.]+/gu, ' ').trim() : lower
}

/** Labels as they are stored and compared. */
export function plainLabels(labels: Labels): Labels {
  const entries = Object.entries(labels).map(([name, values]): [string, Labels[string]] => [
    name,
    [...new Set(values.map(each => plain(name, each)))],
  ])
  return Object.fromEntries(entries.toSorted(byName))
}

export function plainGpuLabels(all: HostLabels['gpu_labels']): HostLabels['gpu_labels'] {
  return all
    .map(({ id, labels }) => ({ id, labels: plainLabels(labels) }))
    .toSorted((one, other) => (one.id < other.id ? -1 : 1))
}

/** What a container on a host has. */
export function labelsAt({ labels, gpu_labels }: HostLabels, container: string): Labels {
  const given = gpu_labels
    .filter(({ id }) => id === container)
    .flatMap(({ labels }) => Object.entries(labels))
  if (given.length === 0) return labels
  const all = new Map(Object.entries(labels))
  for (const [name, values] of given) all.set(name, [...(all.get(name) ?? []), ...values])
  return Object.fromEntries(all)
}

/** What is asked, as hosts' labels are compared with it; null for nothing. */
export function plainRequires(requires: Requires | null | undefined): Requires | null {
  const entries = Object.entries(requires ?? {}).map(([name, wanted]): [string, string | number] => [
    name,
    plain(name, wanted),
  ])
  return entries.length === 0 ? null : Object.fromEntries(entries.toSorted(byName))
}

/** One text for all requests that ask the same; empty for those that ask nothing. */
export function requiresText(requires: Requires | null | undefined): string {
  const wanted = plainRequires(requires)
  return wanted === null ? '' : JSON.stringify(wanted)
}

function byName([one]: [string, unknown], [other]: [string, unknown]): number {
  return one < other ? -1 : 1
}

/** Whether labels are what is asked; both as they are stored. `jobs/claim.ts` says the same in SQL, of one of a route's containers. */
export function meets(labels: Labels, requires: Requires): boolean {
  return Object.entries(requires).every(([name, wanted]) => {
    const values = Object.hasOwn(labels, name) ? (labels[name] ?? []) : []
    if (typeof wanted === 'number') return values.some(has => typeof has === 'number' && has >= wanted)
    if (name !== 'gpu') return values.includes(wanted)
    return values.some(has => ` ${has} `.includes(` ${wanted} `))
  })
}

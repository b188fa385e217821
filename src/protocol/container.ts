import * as v from 'valibot'
import { dictionary } from './dictionary.ts'
import { type Requires, requiresText } from './labels.ts'
import { limits } from './limits.ts'

/**
 * Name of a container: used in requests, as Docker's container name, and in the on-chain hash of a chain, where commas separate
 * (reference node 2.7 and 3). Docker's own rule, so that every accepted name can be started.
 */
export const ContainerId = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/,
    'must be 1-128 of A-Z a-z 0-9 _ . - and begin with a letter or digit',
  ),
)
export type ContainerId = v.InferOutput<typeof ContainerId>

/**
 * Canonical name of a chain of containers: their ids in order, joined by commas, as the reference hashes them; with what a job requires of
 * its host behind a space. Jobs of one route can be computed by the same hosts.
 *
 * That is JSON with `'` for `"`, and `~0` `~1` `~2` for `~` `'` `\`, so that a route can be put between quotes in SQL as it is: an edge that
 * knows nothing of labels takes it for containers that nobody has.
 */
export function routeOf(containers: readonly string[], requires?: Requires | null): string {
  const wanted = requiresText(requires)
  return wanted === '' ? containers.join(',') : `${containers.join(',')} ${unquoted(wanted)}`
}

function unquoted(json: string): string {
  return json.replaceAll('~', '~0').replaceAll("'", '~1').replaceAll('\\', '~2').replaceAll('"', "'")
}

/** `jobs/claim.ts` does the same in SQL. */
function quoted(text: string): string {
  return text.replaceAll("'", '"').replaceAll('~2', '\\').replaceAll('~1', "'").replaceAll('~0', '~')
}

export function containersOf(route: string): string[] {
  const [names = ''] = route.split(' ', 1)
  return names === '' ? [] : names.split(',')
}

/** null: nothing. */
export function requiresOf(route: string): Requires | null {
  const space = route.indexOf(' ')
  return space === -1 ? null : (JSON.parse(quoted(route.slice(space + 1))) as Requires)
}

/**
 * Which image each container of a job ran, by container: its name in a registry with its digest (`org/name@sha256:…`), by which anybody can
 * have the same, or its id on that host (`sha256:…`) where no registry has it. Containers that a runner does not start are left out.
 */
export const Images = v.pipe(
  dictionary(ContainerId, v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,512}$/, 'must be visible ASCII'))),
  v.check(images => Object.keys(images).length <= limits.chainContainers, 'must be those of one job'),
)
export type Images = v.InferOutput<typeof Images>

/** Of what a runner tells of a container: characters of texts and of a list's entries, and entries of a list. */
export const policyLimits = {
  descriptionChars: 4096,
  imageChars: 1024,
  listEntries: 4096,
  listEntryChars: 64,
} as const

const AllowList = v.pipe(
  v.array(v.pipe(v.string(), v.maxLength(policyLimits.listEntryChars))),
  v.maxLength(policyLimits.listEntries),
)

/**
 * What the edge must know of a container to admit a request for it: the reference's policy keys. Secrets and host matters
 * (`bearer`, `url`, `env`, `volumes`, `command`) never leave the runner.
 */
export const ContainerPolicy = v.object({
  id: ContainerId,
  description: v.pipe(v.string(), v.maxLength(policyLimits.descriptionChars)),
  image: v.pipe(v.string(), v.maxLength(policyLimits.imageChars)),
  external: v.pipe(v.boolean(), v.description('May be the first container of a request.')),
  generates_proofs: v.boolean(),
  openai: v.pipe(
    v.optional(v.boolean(), false),
    v.description("Answers OpenAI's `/v1/chat/completions` as well."),
  ),
  allowed_ips: AllowList,
  allowed_addresses: AllowList,
  allowed_delegate_addresses: AllowList,
  signed_data: v.pipe(
    v.optional(v.boolean(), false),
    v.description('Of delegated subscriptions only takes those whose data is signed as well.'),
  ),
  accepted_payments: v.pipe(
    dictionary(v.string(), v.pipe(v.string(), v.regex(/^\d{1,78}$/))),
    v.description('Token address to least amount in base units, as decimal text; empty accepts any payment.'),
  ),
})
export type ContainerPolicy = v.InferOutput<typeof ContainerPolicy>

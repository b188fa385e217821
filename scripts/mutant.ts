import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'

/** A mistake put into the contracts on purpose: some test has to notice it. */
export type Mutant = v.InferOutput<typeof Mutant>

const Mutant = v.strictObject({
  /** In contracts/src. */
  file: v.string(),
  /** Occurs there once. */
  find: v.pipe(v.string(), v.minLength(1)),
  replace: v.string(),
  /** What is wrong then. */
  what: v.string(),
  /** Where it ends up inside of tests (bases, libraries): a glob of those to compile again and run. Else all run, as they are. */
  tests: v.optional(v.string()),
})

const contracts = fileURLToPath(new URL('../contracts/', import.meta.url))

export function readMutants(): Mutant[] {
  return v.parse(v.array(Mutant), JSON.parse(readFileSync(`${contracts}mutants.json`, 'utf8')))
}

/** The source with the mistake in it; undefined if it is not clear where, or changes nothing. */
export function mutate({ file, find, replace }: Mutant): string | undefined {
  const parts = readFileSync(`${contracts}src/${file}`, 'utf8').split(find)
  return parts.length === 2 && find !== replace ? parts.join(replace) : undefined
}

/** Those that cannot be put in: the contracts have changed since. */
export function staleMutants(): Mutant[] {
  return readMutants().filter(mutant => mutate(mutant) === undefined)
}

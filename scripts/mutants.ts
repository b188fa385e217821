import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readForge } from './forge.ts'
import { type Mutant, mutate, readMutants, staleMutants } from './mutant.ts'

/**
 * `npm run test:mutants`: puts each mistake of contracts/mutants.json into a copy of the contracts, one at a time, and tells which
 * test notices it. `-- Wallet.sol`, or `-- 3 17`: those with the word in their file or description, or with the number.
 */
type Outcome = 'killed' | 'survived' | 'broken'

const root = fileURLToPath(new URL('..', import.meta.url))
const cachePath = 'cache/solidity-files-cache.json'
const filters = process.argv.slice(2)

process.exitCode = await main()

async function main(): Promise<number> {
  const stale = staleMutants()
  for (const { file, what } of stale) console.error(`Not exactly once in ${file}: ${what}`)
  const chosen = [...readMutants().entries()].filter(([index, mutant]) => isChosen(index, mutant))
  if (stale.length > 0 || chosen.length === 0) return 1
  const copy = copyContracts()
  try {
    return await runAll(copy, chosen)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

function isChosen(index: number, { file, what }: Mutant): boolean {
  const matches = (filter: string) =>
    /^\d+$/.test(filter) ? Number(filter) === index : `${file}: ${what}`.includes(filter)
  return filters.length === 0 || filters.some(matches)
}

async function runAll(copy: string, chosen: readonly [number, Mutant][]): Promise<number> {
  const seconds = stopwatch()
  const { succeeded, failures } = await runTests(copy)
  if (!succeeded) {
    console.error(`The tests fail without any mutant: ${failures[0] ?? 'they do not build'}`)
    return 1
  }
  console.log(`Without a mutant all tests pass (${seconds()} s).`)
  keepBuild(copy)
  const outcomes: Outcome[] = []
  for (const [index, mutant] of chosen) outcomes.push(await runOne(copy, index, mutant))
  const count = (outcome: Outcome) => outcomes.filter(each => each === outcome).length
  const broken = count('broken') > 0 ? `, ${count('broken')} did not compile` : ''
  console.log(`\n${outcomes.length} mutants, ${count('killed')} killed${broken} (${seconds()} s)`)
  return count('killed') === outcomes.length ? 0 : 1
}

async function runOne(copy: string, index: number, mutant: Mutant): Promise<Outcome> {
  const seconds = stopwatch()
  resetBuild(copy)
  const path = join(copy, 'contracts/src', mutant.file)
  writeFileSync(path, mutate(mutant) ?? '')
  const { succeeded, failures } = await runTests(copy, mutant.tests)
  cpSync(join(root, 'contracts/src', mutant.file), path)
  const outcome = succeeded ? 'survived' : failures.length > 0 ? 'killed' : 'broken'
  const by = failures[0] ? `, by ${failures[0]}` : ''
  console.log(`${index} ${outcome} in ${seconds()} s${by} (${mutant.file}: ${mutant.what})`)
  return outcome
}

/** Which tests failed, as `CONTRACT.TEST`. None if they do not even build: then forge says why. */
async function runTests(copy: string, tests?: string): Promise<{ succeeded: boolean; failures: string[] }> {
  const failures: string[] = []
  let suite = ''
  const args = [
    'test',
    '--fail-fast',
    '--fuzz-seed',
    '1',
    ...(tests ? ['--force', '--match-path', tests] : []),
  ]
  const { succeeded } = await readForge(args, readLine, join(copy, 'contracts'))
  return { succeeded, failures }

  function readLine(line: string): void {
    suite = /^Ran \d+ tests? for \S+:(\w+)/.exec(line)?.[1] ?? suite
    const test = /^\[FAIL.*\] (\w+)\(/.exec(line)?.[1]
    if (test) failures.push(`${suite}.${test}`)
  }
}

/** With what is built already: a mutant compiles only what it is in. Without the campaigns: minutes each, and what they find is by chance. */
function copyContracts(): string {
  mkdirSync(join(root, '.local'), { recursive: true })
  const copy = mkdtempSync(join(root, '.local/mutants-'))
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  for (const folder of ['contracts', 'examples/consumer']) {
    cpSync(join(root, folder), join(copy, folder), {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
      filter: path => basename(path) !== 'invariant',
    })
  }
  return copy
}

/**
 * What is built without any mutant, for each to start from. forge is made to forget which tests inherit from a source: it would compile
 * those again when anything that the source imports changes. Consumers import the coordinator, and nearly all tests consumers: minutes.
 */
function keepBuild(copy: string): void {
  const cache = JSON.parse(readFileSync(join(copy, 'contracts', cachePath), 'utf8'))
  writeFileSync(join(copy, 'contracts', cachePath), JSON.stringify({ ...cache, mocks: [] }))
  for (const path of ['out', cachePath])
    cpSync(join(copy, 'contracts', path), join(copy, 'built', path), {
      recursive: true,
      preserveTimestamps: true,
    })
}

function resetBuild(copy: string): void {
  rmSync(join(copy, 'contracts/out'), { recursive: true, force: true })
  cpSync(join(copy, 'built'), join(copy, 'contracts'), { recursive: true, preserveTimestamps: true })
}

function stopwatch(): () => string {
  const started = performance.now()
  return () => ((performance.now() - started) / 1000).toFixed(1)
}

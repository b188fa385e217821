import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { contractModules } from './contract-modules.ts'
import { runForge } from './forge.ts'
import { staleMutants } from './mutant.ts'

/** Solidity: format, lint, warnings; whether the TypeScript that is made of the contracts is what they make, and mutants still fit. */
const root = fileURLToPath(new URL('..', import.meta.url))
const generated = ['src/protocol/abi', 'src/local/contracts']

const problems = [
  ...(runForge(['fmt', '--check']) ? [] : ['Not formatted: npm run format']),
  ...(runForge(['lint', 'src', '--deny', 'warnings']) ? [] : ['The lint has something to say']),
  ...(runForge(['build', 'src', '--deny', 'warnings'])
    ? drift()
    : ['The contracts do not build without warnings']),
  ...staleMutants().map(({ file, what }) => `contracts/mutants.json: no place in ${file} to have "${what}"`),
]
for (const problem of problems) console.error(problem)
console.log(`contracts: ${problems.length} problems`)
process.exit(problems.length > 0 ? 1 : 0)

function drift(): string[] {
  const modules = contractModules()
  const wanted = new Set(modules.map(({ path }) => path))
  const stale = generated.flatMap(list).filter(path => !wanted.has(path))
  const changed = modules.filter(({ path, text }) => read(path) !== text)
  return [
    ...changed.map(({ path }) => `${path} is not what its contract makes: npm run abi`),
    ...stale.map(path => `${path} is made of no contract in contracts/exports.json`),
  ]
}

function list(folder: string): string[] {
  return readdirSync(root + folder).map(name => `${folder}/${name}`)
}

function read(path: string): string | undefined {
  try {
    return readFileSync(root + path, 'utf8')
  } catch {
    return undefined
  }
}

import { readdirSync } from 'node:fs'
import { sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readForge } from './forge.ts'
import type { Suite } from './suite-reporter.ts'

const contracts = fileURLToPath(new URL('../contracts', import.meta.url))
const total = /(\d+) tests? passed, (\d+) failed, (\d+) skipped \(\d+ total tests?\)/

/** Runs the contracts' tests whose path has one of the filters in it, or all without filters. Undefined if there are none. */
export async function runForgeSuite(filters: readonly string[]): Promise<Suite | undefined> {
  const files = testFiles()
  const chosen = files.filter(file =>
    filters.length === 0 ? true : filters.some(filter => `contracts/${file}`.includes(filter)),
  )
  if (chosen.length === 0) return undefined
  // A glob of few names only, since the command line is bounded.
  const args = chosen.length === files.length ? [] : ['--match-path', `{${chosen.join(',')}}`]
  const started = performance.now()
  let counts: readonly number[] | undefined
  const { succeeded } = await readForge(['test', ...args], line => {
    // A line for each test that passed would hide those that did not.
    if (!line.startsWith('[PASS]')) console.log(line)
    const found = total.exec(line)
    if (found) counts = found.slice(1).map(Number)
  })
  const [passed = 0, failed = 0, skipped = 0] = counts ?? []
  // What does not compile has no tests, and must not count as none.
  const broken = !succeeded && failed === 0 ? 1 : 0
  return {
    files: chosen.length,
    passed,
    failed: failed + broken,
    skipped,
    ms: performance.now() - started,
  }
}

function testFiles(): string[] {
  return readdirSync(`${contracts}/test`, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.t.sol'))
    .map(file => `test/${file.split(sep).join('/')}`)
}

import { relative, sep } from 'node:path'
import type { Reporter, TestModule } from 'vitest/node'
import { failuresOf, hookErrorsOf } from './test-failures.ts'

export type Suite = { files: number; passed: number; failed: number; skipped: number; ms: number }

/**
 * Prints a line for each folder of `test/`, and for each host that it runs on, with its counts and time, then a line for each test
 * that failed, and at the very end `N passed, N failed[, N skipped]`. Suites that another runner has run come with the others.
 */
export function createSuiteReporter(others: ReadonlyMap<string, Suite>): Reporter {
  let root = process.cwd()
  return {
    onInit(vitest) {
      root = vitest.config.root
    },
    onTestRunEnd(modules, errors) {
      const suites = new Map(others)
      for (const module of modules) count(suites, suiteOf(module, root), module)
      console.log('\nSuite        files  passed  failed  skipped    time')
      for (const [name, { files, passed, failed, skipped, ms }] of [...suites].sort()) {
        const cells = [
          pad(files, 6),
          pad(passed, 7),
          pad(failed, 7),
          pad(skipped, 8),
          pad((ms / 1000).toFixed(1), 6),
        ]
        console.log(`${name.padEnd(12)}${cells.join(' ')} s`)
      }
      for (const line of failuresOf(modules, errors, root)) console.log(line)
      const total = (key: 'passed' | 'failed' | 'skipped') =>
        [...suites.values()].reduce((sum, suite) => sum + suite[key], 0)
      // An error outside any test fails the run: it must show in the count.
      const failed = total('failed') + errors.length
      const skipped = total('skipped')
      console.log(`\n${total('passed')} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
    },
  }
}

/** Tests run on workerd, Cloudflare's runtime, unless their suite names another host. */
function suiteOf(module: TestModule, root: string): string {
  const folder = relative(root, module.moduleId).split(sep)[1] ?? 'other'
  const host = module.project.name
  return host === 'workerd' || host === 'alone' ? folder : `${folder}-${host}`
}

function count(suites: Map<string, Suite>, name: string, module: TestModule): void {
  const suite = suites.get(name) ?? { files: 0, passed: 0, failed: 0, skipped: 0, ms: 0 }
  suites.set(name, suite)
  suite.files += 1
  const { duration, setupDuration, collectDuration } = module.diagnostic()
  suite.ms += duration + setupDuration + collectDuration
  for (const test of module.children.allTests()) {
    const { state } = test.result()
    if (state === 'passed') suite.passed += 1
    else if (state === 'failed') suite.failed += 1
    else suite.skipped += 1
  }
  // What fails before its tests run has none that failed, and must not count as none.
  suite.failed += hookErrorsOf(module).length
}

function pad(value: number | string, width: number): string {
  return String(value).padStart(width)
}

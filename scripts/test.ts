import { fileURLToPath } from 'node:url'
import { startVitest } from 'vitest/node'
import { runForgeSuite } from './forge-suite.ts'
import { createSuiteReporter } from './suite-reporter.ts'

/**
 * `npm test`: every test, the contracts' first, then how long each suite took and one line that counts. `npm test -- edge` runs a part.
 */
const root = fileURLToPath(new URL('..', import.meta.url))
const filters = process.argv.slice(2)

// Not beside the others, which measure time on the same cores.
const forge = await runForgeSuite(filters)

const vitest = await startVitest('test', filters, {
  root,
  watch: false,
  passWithNoTests: forge !== undefined,
  reporters: ['default', createSuiteReporter(new Map(forge && [['solidity', forge]]))],
})
await vitest.close()
process.exit(process.exitCode || (forge && forge.failed > 0) ? 1 : 0)

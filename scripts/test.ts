import { fileURLToPath } from 'node:url'
import { startVitest } from 'vitest/node'
import { createSuiteReporter } from './suite-reporter.ts'

/** `npm test`: every test, then how long each suite took and one line that counts. `npm test -- edge` runs a part. */
const root = fileURLToPath(new URL('..', import.meta.url))
const filters = process.argv.slice(2)

const vitest = await startVitest('test', filters, {
  root,
  watch: false,
  reporters: ['default', createSuiteReporter()],
})
await vitest.close()
process.exit(process.exitCode ?? 0)

import { parseArgs } from 'node:util'
import { benchChain } from './chain.ts'
import { benchGas } from './gas.ts'
import { benchJobs } from './jobs.ts'
import { benchLarge } from './large.ts'
import { benchQueue } from './queue.ts'
import { benchRecovery } from './recovery.ts'
import { createReport, type Report } from './report.ts'
import { benchRunner } from './runner.ts'
import { benchStream } from './stream.ts'
import { benchWaiting } from './waiting.ts'

const benches: Record<string, (report: Report, options: { seconds: number }) => Promise<void>> = {
  chain: benchChain,
  gas: benchGas,
  jobs: benchJobs,
  large: benchLarge,
  queue: benchQueue,
  recovery: benchRecovery,
  runner: benchRunner,
  stream: benchStream,
  waiting: benchWaiting,
}

// An exit, unlike a signal, lets a bench remove what it has on disk.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130))

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, seconds: { type: 'string', default: '8' } },
})
const names = positionals.length > 0 ? positionals : Object.keys(benches)
for (const name of names) {
  const bench = benches[name]
  if (!bench) {
    console.error(`No such bench: ${name}. There are: ${Object.keys(benches).join(', ')}`)
    process.exit(64)
  }
  await bench(createReport({ bench: name, json: values.json }), { seconds: Number(values.seconds) })
}

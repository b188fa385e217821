import { parseArgs } from 'node:util'
import { soak } from './soak.ts'

/** `npm run soak`: ten minutes as a rule, on a machine with Docker. Ends with 1 when there was a fault. */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
  },
})
const over = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => over.abort())

console.log(`Seed ${values.seed}, for ${values.minutes} minutes; Ctrl-C ends the load early`)
const { faults, figures } = await soak({
  seed: Number(values.seed),
  loadMs: Number(values.minutes) * 60_000,
  containerEveryMs: [6_000, 16_000],
  runnerEveryMs: [4_000, 16_000],
  signal: over.signal,
})
for (const [name, value] of Object.entries(figures))
  console.log(
    `${name.padEnd(40)}${(Number.isInteger(value) ? value : Number(value.toPrecision(4))).toString().padStart(12)}`,
  )
for (const fault of faults) console.log(`FAULT ${fault}`)
console.log(`Seed ${values.seed}: ${faults.length} faults`)
process.exit(faults.length > 0 ? 1 : 0)

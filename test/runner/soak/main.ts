import { parseArgs } from 'node:util'
import { reachable } from '../docker.ts'
import { soak } from './soak.ts'

/** `npm run soak`: ten minutes as a rule, on a machine with Docker. Ends with 1 when there was a fault. */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
  },
})
const [minutes, seed] = [Number(values.minutes), Number(values.seed)]
if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  console.error('npm run soak -- [--minutes N] [--seed WHOLE-NUMBER]')
  process.exit(64)
}
if (!reachable) process.exit(1)
const over = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => over.abort())

console.log(`Seed ${seed}, for ${minutes} minutes; Ctrl-C ends the load early`)
const { faults, figures } = await soak({
  seed,
  loadMs: minutes * 60_000,
  containerEveryMs: [6_000, 16_000],
  runnerEveryMs: [4_000, 16_000],
  signal: over.signal,
})
for (const [name, value] of Object.entries(figures))
  console.log(
    `${name.padEnd(40)}${(Number.isInteger(value) ? value : Number(value.toPrecision(4))).toString().padStart(12)}`,
  )
for (const fault of faults) console.log(`FAULT ${fault}`)
console.log(`Seed ${seed}: ${faults.length} faults`)
process.exit(faults.length > 0 ? 1 : 0)

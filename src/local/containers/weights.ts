import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import * as v from 'valibot'
import type { Example } from './examples.ts'
import { withLock } from './lock.ts'

/** A file of model weights on this machine. */
export const Weights = v.object({ name: v.string(), path: v.string(), sha256: v.string() })
export type Weights = v.InferOutput<typeof Weights>

/** A first start has to end while somebody watches: what is not here by then is served by the tiny model. */
const downloadSeconds = 20

/**
 * An example with the weights it is to serve, downloaded if they are not here yet. `CHAT_MODEL` chooses: `auto` (the
 * default), `smollm2`, or `tiny`, which needs no download.
 */
export async function withWeights(example: Example, log: (line: string) => void): Promise<Example> {
  if (!example.needsWeights) return example
  const weights = await withLock(`weights-${example.id}`, () => getWeights(example, log))
  const [repository] = example.image.split(':')
  return {
    ...example,
    weights,
    // An image for each model: the tests' one and that of `npm start` would else replace each other.
    image: `${repository}:${weights.name.toLowerCase()}`,
    description: `${example.description} (${weights.name}, CPU)`,
  }
}

async function getWeights({ id, folder }: Example, log: (line: string) => void): Promise<Weights> {
  const model = process.env.CHAT_MODEL ?? 'auto'
  const args = ['weights.js', '--model', model, '--seconds', String(downloadSeconds)]
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', line => lines.push(line))
  }
  const [code] = await once(child, 'close')
  const last = code === 0 ? lines.pop() : undefined
  for (const line of lines) log(`${id}: ${line}`)
  if (last === undefined) throw new Error(`weights.js ended with ${code}`)
  return v.parse(Weights, JSON.parse(last))
}

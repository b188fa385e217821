import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createClient } from '../client/client.ts'
import type { Steps } from './steps.ts'

const picture = fileURLToPath(new URL('../../examples/containers/ocr/sample.png', import.meta.url))
/** A word of the picture that the model never misreads. */
const expected = /Northwind/i

/** The main job on real input: a picture goes in, the text that a model read in it comes out. Throws when it does not. */
export async function runDemo({ url, steps }: { url: string; steps: Steps }): Promise<void> {
  const client = createClient({ url })
  const image = readFileSync(picture).toString('base64')
  const { id } = await steps.run(
    'job created',
    () => client.createJob({ containers: ['ocr'], data: { image } }),
    job => `POST /api/jobs, a picture of ${Math.round(image.length / 1024)} KiB -> ${job.id}`,
  )
  const job = await steps.run(
    'job done',
    () => client.waitForJob(id, { timeoutMs: 60_000 }),
    ({ state }) => state,
  )
  if (!job.result || !('output' in job.result))
    throw new Error(`The job failed: ${job.error?.message ?? 'no output'}`)
  const { text } = job.result.output as { text: string }
  for (const line of text.split('\n')) steps.note(line)
  if (!expected.test(text)) throw new Error('The model did not read what is in the picture.')
}

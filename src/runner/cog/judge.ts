import { open } from 'node:fs/promises'
import * as v from 'valibot'
import { JsonLimitError, JsonSyntaxError } from '../../protocol/json-errors.ts'
import { createScanner } from '../../protocol/json-scan.ts'
import type { Target } from '../containers.ts'
import { onDisk } from '../disk.ts'
import { failed } from '../job/failure.ts'
import { httpError } from '../job/judge.ts'
import { type Reply, readJson } from '../job/reply.ts'
import type { Scratch } from '../job/scratch.ts'
import type { Sent } from '../job/send.ts'
import { fileSource, type Rope, readRope, textOf } from '../rope.ts'
import { failureOf, Prediction } from './prediction.ts'

const maxDepth = 10_000
/** All but the output: logs, and the input, which some versions repeat. */
const maxFieldBytes = 20 * 1024 * 1024

/** Judges the answer to a prediction; its output is the reply, byte for byte. @throws DiskError */
export async function judgePrediction(
  { url, response }: Sent,
  target: Target,
  scratch: Scratch,
): Promise<Reply> {
  if (response.statusCode >= 400) return failed(await httpError({ url, response }, target))
  const { body, headers } = response
  const reply = await readJson(body, Number(headers['content-length'] || Number.NaN), scratch)
  return reply.ok ? await outputOf(reply.text, scratch) : reply
}

async function outputOf(answer: Rope, scratch: Scratch): Promise<Reply> {
  try {
    const { fields, output } = await takeOut(answer, scratch)
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), Prediction), fields)
    if (!parsed.success) return invalid('the answer is no prediction')
    const failure = failureOf(parsed.output)
    return failure === null ? { ok: true, text: output } : failed(failure)
  } catch (error) {
    if (error instanceof JsonLimitError || error instanceof JsonSyntaxError) return invalid(error.message)
    throw error
  }
}

/** Splits an answer into its output, as the text it is, and the rest; an output goes where the answer is, into memory or a file. */
async function takeOut(answer: Rope, scratch: Scratch): Promise<{ fields: string; output: Rope }> {
  const scanner = createScanner({ carry: 'output', maxItems: null, maxDepth, maxFieldBytes })
  let fields = ''
  let pieces: Uint8Array[] = []
  const emit: Parameters<typeof scanner.push>[1] = event => {
    if (event.kind === 'data') pieces.push(Uint8Array.from(event.bytes))
    else if (event.kind === 'end') fields = Buffer.from(event.fields ?? []).toString()
  }
  const never = new AbortController().signal
  if (textOf(answer) !== null) {
    for await (const chunk of readRope(answer, never)) scanner.push(chunk, emit)
    scanner.end(emit)
    const text = Buffer.concat(pieces).toString()
    return { fields, output: [text === '' ? 'null' : text] }
  }
  const path = scratch.add()
  const file = await onDisk(open(path, 'w', 0o600))
  let bytes = 0
  try {
    for await (const chunk of readRope(answer, never)) {
      scanner.push(chunk, emit)
      const taken = Buffer.concat(pieces)
      pieces = []
      await onDisk(file.appendFile(taken))
      scratch.grew(path, taken.length)
      bytes += taken.length
    }
    scanner.end(emit)
  } finally {
    await onDisk(file.close())
  }
  return { fields, output: bytes === 0 ? ['null'] : [fileSource(path, bytes)] }
}

function invalid(detail: string): Reply {
  return failed({ code: 'invalid_output', error: `The container's answer cannot be read: ${detail}`, detail })
}

import { createParser, type EventSourceMessage } from 'eventsource-parser'
import * as v from 'valibot'
import type { Target } from '../containers.ts'
import type { Failure } from '../job/failure.ts'
import type { Scratch } from '../job/scratch.ts'
import type { Sent } from '../job/send.ts'
import { readRope } from '../rope.ts'
import { judgePrediction } from './judge.ts'
import { failureOf, Prediction } from './prediction.ts'
import { isText, textIn } from './text.ts'

/** A prediction ended otherwise than well in the middle of its output. */
export class PredictionError extends Error {
  override readonly name = 'PredictionError'
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.detail)
    this.failure = failure
  }
}

const Output = v.object({ chunk: v.unknown() })
/** Of one event, in characters: the last one may repeat all of the output, and what does not end would take all memory. */
const eventChars = 20 * 1024 * 1024
const nothing = new Uint8Array()

/**
 * The output of a prediction as it comes, where the model streams, else in one piece. Text is itself, a list of texts is these one after
 * another, and anything else is its JSON. Pieces are empty where something but output has come.
 * @throws PredictionError
 */
export async function* predictionOutput(
  sent: Sent,
  target: Target,
  scratch: Scratch,
): AsyncGenerator<Uint8Array> {
  const type = String(sent.response.headers['content-type'] ?? '')
  if (/^text\/event-stream\b/i.test(type)) yield* eventOutput(sent)
  else yield* wholeOutput(sent, target, scratch)
}

async function* eventOutput({ response }: Sent): AsyncGenerator<Uint8Array> {
  const events: EventSourceMessage[] = []
  const parser = createParser({
    maxBufferSize: eventChars,
    onEvent: event => events.push(event),
    onError({ type }) {
      if (type === 'max-buffer-size-exceeded')
        throw invalid(`An event is longer than ${eventChars} characters`)
    },
  })
  const decoder = new TextDecoder()
  let begun = false
  for await (const chunk of response.body) {
    parser.feed(decoder.decode(chunk, { stream: true }))
    for (const { event, data } of events.splice(0)) {
      if (event === 'completed') return ended(data)
      if (event === 'error') throw brokenOff('The container broke off the stream of events')
      if (event === 'output') {
        begun = true
        yield textOf(read(Output, data).chunk)
      } else if (begun) yield nothing
    }
  }
  throw brokenOff('The stream of events ended before the prediction did')
}

function ended(data: string): void {
  const failure = failureOf(read(Prediction, data))
  if (failure !== null) throw new PredictionError(failure)
}

async function* wholeOutput(sent: Sent, target: Target, scratch: Scratch): AsyncGenerator<Uint8Array> {
  const reply = await judgePrediction(sent, target, scratch)
  if (!reply.ok) throw new PredictionError(reply.failure)
  if (await isText(reply.text)) yield* textIn(reply.text)
  else yield* readRope(reply.text, new AbortController().signal)
}

/** Values that are no text are told apart by lines. */
function textOf(chunk: unknown): Uint8Array {
  return Buffer.from(typeof chunk === 'string' ? chunk : `${JSON.stringify(chunk)}\n`)
}

function read<T extends v.GenericSchema>(schema: T, data: string): v.InferOutput<T> {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), data)
  if (parsed.success) return parsed.output
  throw invalid('An event is not as Cog tells it')
}

function invalid(error: string): PredictionError {
  return new PredictionError({ code: 'invalid_output', error, detail: error })
}

function brokenOff(error: string): PredictionError {
  return new PredictionError({ code: 'connection_lost', error, detail: error })
}

import type { Dispatcher } from 'undici'
import * as v from 'valibot'
import type { Probed } from '../health/probe.ts'
import { discard } from '../job/reply.ts'

/** BUSY: all of its slots are taken, which the runner knows better. */
const ready = ['READY', 'BUSY'] as const
const loading = ['UNKNOWN', 'STARTING'] as const
const failed = ['SETUP_FAILED', 'DEFUNCT', 'UNHEALTHY'] as const

/** `GET /health-check` (Cog's HTTP API). Always 200; its body says how it is. */
const Health = v.object({
  // Known words alone: any other would be passed on as whatever it is.
  status: v.picklist([...ready, ...loading, ...failed]),
  setup: v.nullish(v.object({ logs: v.nullish(v.string()) })),
  user_healthcheck_error: v.nullish(v.string()),
})

/** Setup logs are a model's chatter, and the last of it says why it ended. */
const logChars = 512
/** Of a whole answer, all that a setup has written included. */
const answerBytes = 8 * 1024 * 1024

/** What a container that Cog has built says of itself. */
export async function healthOf({ statusCode, body }: Dispatcher.ResponseData): Promise<Probed> {
  if (statusCode !== 200) {
    discard(body)
    return { state: 'loading', detail: `status ${statusCode}` }
  }
  const text = await textOf(body)
  if (text === null) return { state: 'loading', detail: `its health is longer than ${answerBytes} bytes` }
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), Health), text)
  if (!parsed.success) return { state: 'loading', detail: 'its health is not as Cog tells it' }
  const { status, setup, user_healthcheck_error: said } = parsed.output
  if (isOf(ready, status)) return { state: 'ready' }
  if (isOf(loading, status)) return { state: 'loading', detail: status }
  const why = (said ?? setup?.logs ?? '').trim().slice(-logChars)
  return { state: 'failed', detail: status, why }
}

function isOf(words: readonly string[], status: string): boolean {
  return words.includes(status)
}

/** Null when it is too long. */
async function textOf(body: Dispatcher.ResponseData['body']): Promise<string | null> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > answerBytes) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

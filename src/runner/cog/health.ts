import type { Dispatcher } from 'undici'
import * as v from 'valibot'
import type { Probed } from '../health/probe.ts'
import { discard } from '../job/reply.ts'

/** `GET /health-check` (Cog's HTTP API). Always 200; its body says how it is. */
const Health = v.object({
  status: v.string(),
  setup: v.nullish(v.object({ logs: v.nullish(v.string()) })),
  user_healthcheck_error: v.nullish(v.string()),
})

/** BUSY: all of its slots are taken, which the runner knows better. */
const ready = new Set(['READY', 'BUSY'])
const failed = new Set(['SETUP_FAILED', 'DEFUNCT', 'UNHEALTHY'])
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
  if (ready.has(status)) return { state: 'ready' }
  if (!failed.has(status)) return { state: 'loading', detail: status }
  const why = (said ?? setup?.logs ?? '').trim().slice(-logChars)
  return { state: 'failed', detail: why === '' ? status : `${status}: ${why}` }
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

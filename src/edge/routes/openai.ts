import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import { JsonLimitError, JsonSyntaxError } from '../../protocol/json-errors.ts'
import { createScanner } from '../../protocol/json-scan.ts'
import { limits } from '../../protocol/limits.ts'
import type { Ends } from '../bell/ends.ts'
import type { Context as App } from '../context.ts'
import { type JobRow, readJobs } from '../jobs/read.ts'
import { admit } from '../runners/admit.ts'
import type { PolicySnapshot } from '../runners/policy.ts'
import { persist } from '../stream/patience.ts'
import { pause } from '../stream/pause.ts'
import { bodyTooLarge, unbroken } from './body.ts'
import { cancelled } from './cancelled.ts'
import type { Made } from './create.ts'
import { type Create, creating, keyParameter, tellOutcomes } from './creating.ts'
import { described } from './describe.ts'
import { isJson } from './json.ts'
import { failureError, modelNotFound, OpenAiErrorBody, openAiError } from './openai-error.ts'
import { openAiStream } from './openai-stream.ts'
import { closes, RefusalError, refuse } from './refuse.ts'
import { isInParts, isPending, outputOf, respond } from './render.ts'
import { senderOf } from './sender.ts'
import { openingOfMade } from './stream-opening.ts'
import { untilEnded } from './wait.ts'

/** What of a request the node has to understand; the container gets it byte for byte. */
const ChatRequest = v.looseObject({
  model: v.string(),
  stream: v.nullish(v.boolean(), false),
})

/** All fields but `messages`, together. */
const fieldBytes = 1024 * 1024
/** JSON of `requires`, as in a request for a job. */
const requiresHeader = 'infernet-requires'
/** A streamed chat may go unread for so long where its client has a key to come back with: as one of the node's own clients. */
const keyedSeconds = 60
/** How long an end is waited for at a time. */
const waitMs = 60_000
/** Where too many wait already, the job is looked at this often. */
const crowdedMs = 2_000

/** OpenAI's API on containers that speak it: what works with OpenAI's clients works with this node as their base URL. */
export function openAiRoutes(app: App, { ends, create }: { ends: Ends; create: Create }): Hono {
  const routes = new Hono()

  routes.get(
    '/v1/models',
    described({
      summary: 'Models, as OpenAI lists them',
      tag: 'Jobs',
      description: 'Containers that declare `openai`, and are open to the caller.',
      answer: { description: 'Models.', schema: v.looseObject({ object: v.literal('list') }) },
      refusalBody: OpenAiErrorBody,
    }),
    async c => {
      const snapshot = await app.policy.read()
      const { address } = senderOf(app, c)
      const data = [...snapshot.containers.keys()]
        .filter(id => isOpen(snapshot, { model: id, address }))
        .map(id => ({ id, object: 'model', created: 0, owned_by: 'infernet' }))
      return c.json({ object: 'list', data })
    },
  )

  routes.post(
    '/v1/chat/completions',
    described({
      summary: "Chat, in OpenAI's format",
      tag: 'Jobs',
      description:
        '`model` is the id of a container that declares `openai`; the request reaches its `/v1/chat/completions` as it is, and its answer the client, streamed or not. Refusals have OpenAI’s format. When the client leaves, the job is cancelled; with an `Idempotency-Key` it goes on, streamed for 60 s, and the same request comes back to it.',
      body: ChatRequest,
      parameters: [
        keyParameter,
        {
          name: requiresHeader,
          in: 'header',
          description: 'Labels that the host must have, as JSON: `requires` of a job.',
        },
      ],
      answer: { description: 'The container’s answer.', schema: v.looseObject({}) },
      refusals: [...creating, 'output_gone', 'too_many_readers', 'closing'],
      refusalBody: OpenAiErrorBody,
    }),
    complete,
  )

  async function complete(c: Context): Promise<Response> {
    const body = await readBody(c.req.raw)
    const request = parseChat(body)
    if (request instanceof RefusalError) return refuse(c, request.refusal)
    const { model, stream } = request
    const known = { model, address: senderOf(app, c).address }
    if (!isOpenAi(await app.policy.read(), known) && !isOpenAi(await app.policy.readCurrent(), known))
      return modelNotFound(c, model)
    const streamed = stream === true
    const [outcome] = await create(c, {
      request: asJob(
        c.req.url,
        { model, requires: requiresIn(c), unreadSeconds: streamed && isKeyed(c) ? keyedSeconds : null },
        body,
      ),
      batch: false,
      watched: true,
      streamed,
      endpoint: 'openai',
    })
    if (!outcome) return refuse(c, { code: 'malformed_json', error: 'The body is empty' })
    if ('code' in outcome) return refuse(c, outcome)
    tellOutcomes(c, [outcome])
    c.header('infernet-job', outcome.id)
    return streamed ? await answerStreamed(c, outcome) : await answerWhole(c, outcome.id)
  }

  /** Whoever is told to ask again makes another job, as `answerWhole` says. At a host that closes no relay ends this one. */
  async function answerStreamed(c: Context, made: Made): Promise<Response> {
    const opening = await openingOfMade(app, c, made)
    if (opening === null) return jobGone(c)
    try {
      return await openAiStream(app, ends, c, opening)
    } catch (error) {
      const { owner } = senderOf(app, c)
      if (app.closing?.aborted && !isKeyed(c))
        await cancelled(app, c, { owner, id: made.id }).catch(() => undefined)
      throw error
    }
  }

  /**
   * Whoever waits for an answer in one piece has no use for it after leaving, nor after an error, such as that the host closes: clients
   * try again, and make another job. With a key they come back to this one.
   */
  async function answerWhole(c: Context, id: string): Promise<Response> {
    const { owner } = senderOf(app, c)
    const { signal } = c.req.raw
    const end = async () => await cancelled(app, c, { owner, id })
    const hasLeft = () => signal.aborted && !app.closing?.aborted
    const leave = () => {
      if (isKeyed(c) || !hasLeft()) return
      const ended = persist({ ...app, signal: new AbortController().signal }, end)
      app.background(
        c,
        ended.catch(() => undefined),
      )
    }
    signal.addEventListener('abort', leave)
    // While its job was being stored.
    leave()
    try {
      const row = await rowAtEnd({ owner, id, signal })
      // Nobody hears it where the client has left.
      if (row !== null && isPending(row)) throw closes()
      return await answerEnded(c, row)
    } catch (error) {
      if (!isKeyed(c) && !hasLeft()) await end().catch(() => undefined)
      throw error
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }

  /**
   * The job as it ended, or as it is when its client leaves or the host closes. null: it is gone.
   * @throws when the database is away for too long.
   */
  async function rowAtEnd({ owner, id, signal }: Awaiting): Promise<JobRow | null> {
    const waiting = { ...app, signal }
    const ids = [id]
    for (let areWatched = true; ; areWatched = false) {
      const waited = await persist(waiting, async () => {
        const deadline = app.now() + waitMs
        return await untilEnded(app, ends, { owner, ids, areWatched, deadline, signal })
      })
      const [row] = await persist(waiting, async () => await readJobs(app.db, { owner, ids }))
      if (!row || signal.aborted || !isPending(row)) return row ?? null
      if (!waited) await pause(crowdedMs, signal)
    }
  }

  async function answerEnded(c: Context, row: JobRow | null): Promise<Response> {
    if (row === null) return jobGone(c)
    if (row.state !== 'success') return failureError(c, row)
    return await respond(c, outputOf(app.db, row), { streamed: isInParts(row) })
  }

  return routes
}

/** Its client can come back to the job. */
function isKeyed(c: Context): boolean {
  return c.req.header('idempotency-key') !== undefined
}

type Awaiting = { owner: string; id: string; signal: AbortSignal }

function jobGone(c: Context): Response {
  return openAiError(c, 404, { message: 'The job is gone', code: 'not_found' })
}

type Asked = { model: string; address: string | null }

function isOpenAi({ containers }: PolicySnapshot, { model }: Asked): boolean {
  return containers.get(model)?.openai ?? false
}

function isOpen(snapshot: PolicySnapshot, asked: Asked): boolean {
  const { model, address } = asked
  return (
    isOpenAi(snapshot, asked) &&
    admit(snapshot, { containers: [model], requiresProof: false, requires: null, address }) === null
  )
}

/** @throws RefusalError when it is too large, or breaks off. */
async function readBody(request: Request): Promise<Uint8Array> {
  if (Number(request.headers.get('content-length') ?? 0) > limits.bodyBytes)
    throw bodyTooLarge(limits.bodyBytes)
  const pieces: Uint8Array[] = []
  let bytes = 0
  const source = request.body?.getReader()
  while (source) {
    const { done, value } = await unbroken(source.read())
    if (done) break
    bytes += value.byteLength
    if (bytes > limits.bodyBytes) throw bodyTooLarge(limits.bodyBytes)
    pieces.push(value)
  }
  const body = new Uint8Array(bytes)
  let at = 0
  for (const piece of pieces) {
    body.set(piece, at)
    at += piece.byteLength
  }
  return body
}

/** The messages, which may be many MiB, are looked through and not parsed. @returns what is wrong, else the request. */
function parseChat(body: Uint8Array): v.InferOutput<typeof ChatRequest> | RefusalError {
  let fields: Uint8Array | null = null
  const take = (event: { kind: string; fields?: Uint8Array | null }) => {
    if (event.kind === 'end') fields = event.fields ?? null
  }
  try {
    const scanner = createScanner({
      carry: 'messages',
      maxItems: null,
      maxDepth: limits.jsonDepth,
      maxFieldBytes: fieldBytes,
    })
    scanner.push(body, take)
    scanner.end(take)
  } catch (error) {
    if (error instanceof JsonSyntaxError)
      return new RefusalError('malformed_json', `Malformed JSON: ${error.message}`)
    if (error instanceof JsonLimitError) return new RefusalError('invalid_request', error.message)
    throw error
  }
  const parsed = v.safeParse(
    ChatRequest,
    fields === null ? null : JSON.parse(new TextDecoder().decode(fields)),
  )
  if (parsed.success) return parsed.output
  const [issue] = parsed.issues
  return new RefusalError('invalid_request', `${v.getDotPath(issue) ?? 'The body'}: ${issue.message}`)
}

/** The body is its container's: what is asked of the host stands in a header. @returns JSON text. @throws RefusalError when it is none. */
function requiresIn(c: Context): string {
  const text = c.req.header(requiresHeader) ?? 'null'
  // Hosts differ in what other bytes of a header are.
  if (/[^\t\x20-\x7e]/.test(text))
    throw new RefusalError(
      'invalid_request',
      `Invalid header: ${requiresHeader}: must be ASCII, other characters as \\u00fc`,
    )
  if (isJson(text, value => typeof value === 'object' && !Array.isArray(value))) return text
  throw new RefusalError('invalid_request', `Invalid header: ${requiresHeader}: must be a JSON object`)
}

/** The request as one for a job, whose input it is. */
function asJob(
  url: string,
  { model, requires, unreadSeconds }: { model: string; requires: string; unreadSeconds: number | null },
  body: Uint8Array,
): Request {
  const encoder = new TextEncoder()
  const detach = unreadSeconds === null ? '' : `,"detach":${unreadSeconds}`
  const head = encoder.encode(
    `{"containers":[${JSON.stringify(model)}],"requires":${requires}${detach},"data":`,
  )
  const whole = new Uint8Array(head.byteLength + body.byteLength + 1)
  whole.set(head)
  whole.set(body, head.byteLength)
  whole.set(encoder.encode('}'), head.byteLength + body.byteLength)
  return new Request(url, {
    method: 'POST',
    headers: { 'content-length': String(whole.byteLength) },
    body: whole,
  })
}

import { randomUUID } from 'node:crypto'
import { begin } from './generation.js'
import { openStream, readJson, sendJson } from './http.js'
import { parseChat } from './input.js'
import { Refusal } from './refusal.js'

/** `POST /v1/chat/completions`, whole or as server-sent events. */
export async function chatCompletions({ request, response, signal }, { model, name, queue }) {
  const body = await readJson(request)
  refuseUnsupported(body)
  const chat = parseChat({ ...body, max_tokens: body.max_completion_tokens ?? body.max_tokens })
  const generation = begin(chat, { model, queue, signal })
  const head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: name }
  if (body.stream !== true) {
    const content = await generation.text()
    return sendJson(response, 200, whole(head, content, generation.outcome))
  }
  openStream(response, 'text/event-stream; charset=utf-8')
  await writeEvents(response, { head, generation, withUsage: body.stream_options?.include_usage === true })
}

async function writeEvents(response, { head, generation, withUsage }) {
  const event = fields => {
    const chunk = { ...head, object: 'chat.completion.chunk', ...(withUsage && { usage: null }), ...fields }
    response.write(`data: ${JSON.stringify(chunk)}\n\n`)
  }
  const choice = (delta, finish = null) => ({
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  })
  event(choice({ role: 'assistant', content: '' }))
  await generation.run(text => event(choice({ content: text })))
  event(choice({}, generation.outcome.finish))
  if (withUsage) event({ choices: [], usage: usage(generation.outcome) })
  response.end('data: [DONE]\n\n')
}

function whole(head, content, outcome) {
  const message = { role: 'assistant', content, refusal: null }
  return {
    ...head,
    object: 'chat.completion',
    choices: [{ index: 0, message, logprobs: null, finish_reason: outcome.finish }],
    usage: usage(outcome),
  }
}

function usage({ promptTokens, completionTokens }) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  }
}

/** What would change the answer is refused; what cannot (`user`, `metadata`, ...) is not looked at. */
function refuseUnsupported({ messages, n, tools, stop, logprobs, response_format: format }) {
  if (messages === undefined) throw new Refusal(400, 'messages is missing')
  if ((n ?? 1) !== 1) throw new Refusal(400, 'n must be 1')
  if (tools?.length > 0) throw new Refusal(400, 'tools are not supported')
  if (stop?.length > 0) throw new Refusal(400, 'stop is not supported')
  if (logprobs === true) throw new Refusal(400, 'logprobs are not supported')
  if ((format?.type ?? 'text') !== 'text') throw new Refusal(400, 'response_format must be text')
}

export function listModels({ name, loadedAt }) {
  return { object: 'list', data: [{ id: name, object: 'model', created: loadedAt, owned_by: 'local' }] }
}

/** A refusal in OpenAI's shape, which its clients read. */
export function toOpenAiError(refusal) {
  const type = refusal.status < 500 ? 'invalid_request_error' : 'server_error'
  return { error: { message: refusal.message, type, param: null, code: null } }
}

import { createServer } from 'node:http'
import { findWeights } from './found.js'
import { sendJson } from './http.js'
import { loadModel } from './model.js'
import { chatCompletions, listModels, toOpenAiError } from './openai.js'
import { createQueue } from './queue.js'
import { Refusal } from './refusal.js'
import { describeResources, supportsModel } from './resources.js'
import { serviceOutput } from './service.js'

const { env } = process
const settings = {
  slots: Number(env.CHAT_AT_ONCE ?? 2),
  waiting: Number(env.CHAT_WAITING ?? 16),
  threads: Number(env.CHAT_THREADS ?? 1),
  contextTokens: Number(env.CHAT_CONTEXT ?? 2048),
}

const weights = findWeights(env)

/** `{model, name, queue, loadedAt}`; absent until the model is loaded. */
let served

const routes = {
  'GET /': async () => ({ message: 'Send a prompt to POST /service_output as {"data": {"prompt": "..."}}' }),
  'GET /health': async () => {
    const { name, queue } = requireModel()
    return { status: 'healthy', model: name, running: queue.running, waiting: queue.waiting }
  },
  'GET /service-resources': async ({ request }) => {
    const wanted = new URLSearchParams(request.url.split('?')[1]).get('model_id')
    return wanted ? supportsModel(wanted, weights.name) : describeResources(weights.name)
  },
  'GET /v1/models': async () => listModels(requireModel()),
  'POST /service_output': exchange => serviceOutput(exchange, requireModel()),
  'POST /v1/chat/completions': exchange => chatCompletions(exchange, requireModel()),
}

const server = createServer({ requestTimeout: 60_000 }, async (request, response) => {
  const left = new AbortController()
  response.once('close', () => left.abort())
  const [path] = request.url.split('?')
  try {
    const body = await route(request.method, path)({ request, response, signal: left.signal })
    // Routes with a status of their own have answered.
    if (body !== undefined) sendJson(response, 200, body)
  } catch (error) {
    if (left.signal.aborted || request.errored) return response.destroy()
    const refusal = error instanceof Refusal ? error : new Refusal(500, 'no text could be generated')
    if (refusal !== error) console.error(error)
    // A stream that has begun can only be broken off, so that nobody takes it for complete.
    if (response.headersSent) return response.destroy()
    sendJson(response, refusal.status, path.startsWith('/v1/') ? toOpenAiError(refusal) : refusal)
  }
})

function route(method, path) {
  const handler = routes[`${method} ${path}`]
  if (handler) return handler
  const known = Object.keys(routes).some(key => key.endsWith(` ${path}`))
  throw known
    ? new Refusal(405, `${method} is not offered at ${path}`)
    : new Refusal(404, `nothing is at ${path}`)
}

function requireModel() {
  if (!served) throw new Refusal(503, 'the model is still loading')
  return served
}

// As the first process of a container Node gets no default action for these signals.
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(0))

const port = Number(env.PORT ?? 3000)
server.listen(port, env.HOST ?? '0.0.0.0', () => console.log(`chat: listening on ${port}`))

const started = performance.now()
const model = await loadModel({ ...settings, path: weights.path })
const queue = createQueue({ slots: model.sequences, waiting: settings.waiting })
served = { model, name: weights.name, queue, loadedAt: Math.floor(Date.now() / 1000) }
console.log(`chat: ${weights.name} loaded in ${Math.round(performance.now() - started)} ms`)

import { begin } from './generation.js'
import { openStream, readJson, sendJson } from './http.js'
import { parseChat } from './input.js'
import { Refusal } from './refusal.js'

/** Where an answer goes: as bytes while they are made. */
const toStream = 2

/** `POST /service_output`: a stream of text, or JSON. */
export async function serviceOutput({ request, response, signal }, { model, name, queue }) {
  const { data, destination } = parseEnvelope(await readJson(request))
  const generation = begin(parseChat(data), { model, queue, signal })
  if (destination !== toStream) {
    const text = await generation.text()
    return sendJson(response, 200, { text, tokens: generation.outcome.completionTokens, model: name })
  }
  openStream(response, 'text/plain; charset=utf-8')
  // However slowly the client reads, the text is at most a context long: it is kept, and the slot goes on to the next.
  await generation.run(text => response.write(text))
  response.end()
}

function parseEnvelope(body) {
  if (body.source === 0 && typeof body.data === 'string') {
    throw new Refusal(400, 'on-chain input is not supported')
  }
  if (body.requires_proof === true) throw new Refusal(400, 'proofs are not supported')
  if (typeof body.data !== 'object' || body.data === null) throw new Refusal(400, 'data must be an object')
  return body
}

import type { Agent } from 'undici'
import type { Containers, Target } from './containers.ts'
import { jsonText } from './job/valid.ts'
import { version } from './version.ts'

const timeoutMs = 3_000
/** The whole answer may have 1 MiB of text. */
const replyBytes = 64 * 1024
const answerChars = 1024 * 1024

/**
 * Asks every container for `/service-resources` (reference node 2.6) and gives an object by container id as JSON text. Containers
 * that are silent, refuse, or do not speak JSON are left out.
 */
export async function askResources(
  containers: Containers,
  { modelId, agent }: { modelId: string | null; agent: Agent },
): Promise<string> {
  const replies = await Promise.all(
    containers.all().map(async target => {
      const text = await askOne(target, { modelId, agent }).catch(() => null)
      return text === null ? null : `${JSON.stringify(target.config.id)}:${text}`
    }),
  )
  let chars = 2
  const kept = replies.filter(reply => {
    if (reply === null) return false
    chars += reply.length + 1
    return chars <= answerChars
  })
  return `{${kept.join(',')}}`
}

async function askOne(
  { baseUrl, config }: Target,
  { modelId, agent }: { modelId: string | null; agent: Agent },
): Promise<string | null> {
  const url = new URL(`${baseUrl}/service-resources`)
  if (modelId !== null) url.searchParams.set('model_id', modelId)
  const { statusCode, body } = await agent.request({
    origin: url.origin,
    path: url.pathname + url.search,
    method: 'GET',
    headers: {
      accept: 'application/json',
      'user-agent': `infernet-runner/${version}`,
      ...(config.bearer !== '' && { authorization: `Bearer ${config.bearer}` }),
    },
    signal: AbortSignal.timeout(timeoutMs),
  })
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > replyBytes) return null
    chunks.push(chunk)
  }
  return statusCode >= 200 && statusCode < 300 ? jsonText(Buffer.concat(chunks)) : null
}

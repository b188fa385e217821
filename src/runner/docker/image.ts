import * as v from 'valibot'
import type { Config, Container } from '../config/config.ts'
import type { Log } from '../log.ts'
import { messageOf } from '../trouble.ts'
import type { Engine } from './engine.ts'
import { findImage } from './find-image.ts'

const Progress = v.object({
  status: v.optional(v.string()),
  id: v.optional(v.string()),
  error: v.optional(v.string()),
})

export type ImageOptions = {
  container: Container
  credentials: Config['docker']
  log: Log
  signal: AbortSignal
}

/**
 * Makes sure that the image is here and answers its id. It is pulled when it is absent, or always if the container says so; when
 * that fails a local copy will do, as in the reference.
 */
export async function ensureImage(engine: Engine, options: ImageOptions): Promise<string> {
  const { container, log } = options
  const local = (await findImage(engine, container.image))?.id ?? null
  if (local !== null && container.pull === 'missing') return local
  try {
    await pull(engine, options)
  } catch (error) {
    if (local === null) throw new Error(`Could not pull image ${container.image}`, { cause: error })
    log.warn('Could not pull image, using the local copy', {
      image: container.image,
      error: messageOf(error),
    })
    return local
  }
  const pulled = await findImage(engine, container.image)
  if (pulled === null) throw new Error(`Image ${container.image} is not there after its pull`)
  return pulled.id
}

async function pull(
  engine: Engine,
  { container: { image }, credentials, log, signal }: ImageOptions,
): Promise<void> {
  const { name, tag } = splitReference(image)
  log.info('Pulling image', { image })
  const path = `/images/create?fromImage=${encodeURIComponent(name)}&tag=${encodeURIComponent(tag)}`
  const headers: Record<string, string> =
    credentials === null ? {} : { 'x-registry-auth': authOf(image, credentials) }
  const { body } = await engine.send({ method: 'POST', path, headers, signal })
  for await (const line of linesOf(body)) {
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), Progress), line)
    if (!parsed.success) continue
    const { status, id, error } = parsed.output
    if (error !== undefined) throw new Error(error)
    if (status !== undefined && /^(Pull complete|Status:|Digest:)/.test(status))
      log.info('Pulling image', { image, status, layer: id })
  }
}

/** `name:tag`, `name@digest` or a bare name, which means its tag `latest`. A registry's port is no tag. */
export function splitReference(image: string): { name: string; tag: string } {
  const [name = '', digest] = image.split('@')
  if (digest !== undefined) return { name, tag: digest }
  const colon = name.lastIndexOf(':')
  return colon > name.lastIndexOf('/')
    ? { name: name.slice(0, colon), tag: name.slice(colon + 1) }
    : { name, tag: 'latest' }
}

function authOf(image: string, { username, password }: { username: string; password: string }): string {
  const [first = '', rest] = image.split('/')
  const registry =
    rest !== undefined && /[.:]|^localhost$/.test(first) ? first : 'https://index.docker.io/v1/'
  return Buffer.from(JSON.stringify({ username, password, serveraddress: registry })).toString('base64url')
}

async function* linesOf(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

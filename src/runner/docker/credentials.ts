import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import type { Config } from '../config/config.ts'
import { dockerHub, registryOf } from './reference.ts'

export type CredentialsOptions = {
  image: string
  /** Of our own configuration: they count for every registry. */
  configured: Config['docker']
  /** Docker's own `config.json`, where `docker login` leaves what it was told. */
  dockerConfig: string
}

const DockerConfig = v.object({
  auths: v.optional(
    v.record(
      v.string(),
      v.object({ auth: v.optional(v.string(), ''), identitytoken: v.optional(v.string()) }),
    ),
    {},
  ),
})

/** `X-Registry-Auth` for an image's registry; null where nobody has logged in there. */
export async function credentialsFor({
  image,
  configured,
  dockerConfig,
}: CredentialsOptions): Promise<string | null> {
  const registry = registryOf(image)
  if (configured !== null) return encode({ ...configured, serveraddress: registry })
  const stored = (await readAuths(dockerConfig))[registry]
  if (stored === undefined) return null
  const [username = '', ...password] = Buffer.from(stored.auth, 'base64').toString().split(':')
  return encode({
    username,
    password: password.join(':'),
    ...(stored.identitytoken !== undefined && { identitytoken: stored.identitytoken }),
    serveraddress: registry,
  })
}

/** A file that is not there, or is not what Docker writes, has no credentials: the registry will say that it wants some. */
async function readAuths(path: string) {
  const text = await readFile(path, 'utf8').catch(() => '{}')
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), DockerConfig), text)
  if (!parsed.success) return {}
  return Object.fromEntries(
    Object.entries(parsed.output.auths).map(([name, auth]) => [
      name === dockerHub ? name : name.replace(/^https?:\/\//, '').replace(/\/.*$/, ''),
      auth,
    ]),
  )
}

/** The engine takes no credentials for ones that lack their padding, and says nothing. */
function encode(auth: Record<string, string>): string {
  const text = Buffer.from(JSON.stringify(auth)).toString('base64url')
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=')
}

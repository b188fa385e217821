import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import type { Config } from '../config/config.ts'
import { messageOf } from '../trouble.ts'
import { askHelper } from './credential-helper.ts'
import { dockerHub, registryOf } from './reference.ts'

export type CredentialsOptions = {
  image: string
  /** Of our own configuration: they count for every registry. */
  configured: Config['docker']
  /** Docker's own `config.json`, where `docker login` leaves what it was told, or who keeps it. */
  dockerConfig: string
  /** Told when somebody keeps credentials and does not say them: the image may be for everybody. */
  onTrouble: (text: string) => void
  signal: AbortSignal
}

const DockerConfig = v.object({
  auths: v.optional(
    v.record(
      v.string(),
      v.object({ auth: v.optional(v.string(), ''), identitytoken: v.optional(v.string()) }),
    ),
    {},
  ),
  /** Who keeps the credentials of all registries, and of one. */
  credsStore: v.optional(v.string(), ''),
  credHelpers: v.optional(v.record(v.string(), v.string()), {}),
})

/**
 * `X-Registry-Auth` for an image's registry; null where nobody has logged in there.
 * @throws the signal's reason
 */
export async function credentialsFor({
  image,
  configured,
  dockerConfig,
  onTrouble,
  signal,
}: CredentialsOptions): Promise<string | null> {
  const registry = registryOf(image)
  if (configured !== null) return encode({ ...configured, serveraddress: registry })
  const { auths, credsStore, credHelpers } = await readDockerConfig(dockerConfig)
  const name = byRegistry(credHelpers)[registry] ?? credsStore
  const helped =
    name === ''
      ? null
      : await askHelper({ name, registry, signal }).catch((error: unknown) => {
          if (signal.aborted) throw error
          onTrouble(messageOf(error))
          return null
        })
  if (helped !== null) return encode({ ...helped, serveraddress: registry })
  const stored = byRegistry(auths)[registry]
  // Where a helper keeps what they were, nothing is left but the registry's name.
  if (stored === undefined || (stored.auth === '' && stored.identitytoken === undefined)) return null
  const [username = '', ...password] = Buffer.from(stored.auth, 'base64').toString().split(':')
  return encode({
    username,
    password: password.join(':'),
    ...(stored.identitytoken !== undefined && { identitytoken: stored.identitytoken }),
    serveraddress: registry,
  })
}

/** A file that is not there, or is not what Docker writes, has no credentials: the registry will say that it wants some. */
async function readDockerConfig(path: string): Promise<v.InferOutput<typeof DockerConfig>> {
  const text = await readFile(path, 'utf8').catch(() => '{}')
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), DockerConfig), text)
  return parsed.success ? parsed.output : v.parse(DockerConfig, {})
}

/** Docker takes their addresses too. */
function byRegistry<T>(entries: Record<string, T>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(entries).map(([name, entry]) => [
      name === dockerHub ? name : name.replace(/^https?:\/\//, '').replace(/\/.*$/, ''),
      entry,
    ]),
  )
}

/** The engine takes no credentials for ones that lack their padding, and says nothing. */
function encode(auth: Record<string, string>): string {
  const text = Buffer.from(JSON.stringify(auth)).toString('base64url')
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=')
}

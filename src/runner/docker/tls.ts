import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** PEM texts: who may have signed the engine's certificate, and what we show for ourselves. */
export type Tls = { ca: string; cert: string; key: string }

export type TlsEnvironment = {
  DOCKER_TLS_VERIFY?: string | undefined
  DOCKER_CERT_PATH?: string | undefined
  HOME?: string | undefined
}

/**
 * What Docker's own client would use for a `tcp://` engine: with any `DOCKER_TLS_VERIFY` the files `ca.pem`, `cert.pem` and `key.pem` of
 * `DOCKER_CERT_PATH`, else of `~/.docker`. Null without it. There is no TLS here that does not verify.
 * @throws when one of the files cannot be read
 */
export async function dockerTls(env: TlsEnvironment): Promise<Tls | null> {
  if (!env.DOCKER_TLS_VERIFY) return null
  const directory = env.DOCKER_CERT_PATH || join(env.HOME ?? '/', '.docker')
  const read = (name: string) => readFile(join(directory, name), 'utf8')
  const [ca, cert, key] = await Promise.all([read('ca.pem'), read('cert.pem'), read('key.pem')])
  return { ca, cert, key }
}

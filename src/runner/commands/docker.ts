import type { Config } from '../config/config.ts'
import { ConfigError } from '../config/problem.ts'
import { addressProblem } from '../docker/address.ts'
import { dockerTls, type Tls, type TlsEnvironment } from '../docker/tls.ts'
import { messageOf } from '../trouble.ts'

export type DockerEnvironment = TlsEnvironment & { DOCKER_HOST?: string | undefined }

/** Where Docker's engine is, and how it is spoken to. */
export type Docker = { dockerHost: string | undefined; dockerTls: Tls | null }

/** @throws ConfigError where the configuration has use for it, and the address or the certificates have none */
export async function dockerOf(
  env: DockerEnvironment,
  { containers }: Pick<Config, 'containers'>,
): Promise<Docker> {
  const { DOCKER_HOST: dockerHost } = env
  const isWanted = containers.some(({ managed }) => managed)
  const problem = addressProblem(dockerHost)
  if (problem !== null && isWanted) throw new ConfigError([{ path: '', ...problem }])
  return { dockerHost, dockerTls: await tlsOf(env, isWanted) }
}

/** A reload may be the first to have any use for the engine: without its certificates it is not met in the clear. */
const noCertificates: Tls = { ca: '', cert: '', key: '' }

async function tlsOf(env: TlsEnvironment, isWanted: boolean): Promise<Tls | null> {
  return await dockerTls(env).catch((error: unknown) => {
    if (!isWanted) return noCertificates
    throw new ConfigError([
      {
        path: '',
        what: `DOCKER_TLS_VERIFY is set, and Docker's certificates cannot be read (${messageOf(error)})`,
        fix: 'put ca.pem, cert.pem and key.pem where DOCKER_CERT_PATH says, or unset DOCKER_TLS_VERIFY',
      },
    ])
  })
}

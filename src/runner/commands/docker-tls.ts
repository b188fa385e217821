import type { Config } from '../config/config.ts'
import { ConfigError } from '../config/problem.ts'
import { dockerTls, type Tls, type TlsEnvironment } from '../docker/tls.ts'
import { messageOf } from '../trouble.ts'

/** How Docker's engine is spoken to, where the configuration has any use for it. @throws ConfigError when certificates cannot be read */
export async function dockerTlsOf(
  env: TlsEnvironment,
  { containers }: Pick<Config, 'containers'>,
): Promise<Tls | null> {
  return await dockerTls(env).catch((error: unknown) => {
    if (!containers.some(({ managed }) => managed)) return null
    throw new ConfigError([
      {
        path: '',
        what: `DOCKER_TLS_VERIFY is set, and Docker's certificates cannot be read (${messageOf(error)})`,
        fix: 'put ca.pem, cert.pem and key.pem where DOCKER_CERT_PATH says, or unset DOCKER_TLS_VERIFY',
      },
    ])
  })
}

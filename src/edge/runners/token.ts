import { decodeProtectedHeader, importJWK, jwtVerify } from 'jose'
import { limits } from '../../protocol/limits.ts'

/** Clock differences that are forgiven. A runner further off says so in its own log. */
const clockToleranceSeconds = limits.clockToleranceMs / 1000
/** Verified tokens kept, so that a busy runner costs one verification a minute. */
const maxCached = 1_000

export type TokenVerifier = (token: string) => Promise<string | null>

/**
 * Checks runner tokens: EdDSA, `kid` and `iss` the runner's id, `aud` this edge, at most 60 s long.
 * @returns the runner's id, or null, which is all that anybody is told. Revocation is checked by the statements themselves.
 */
export function createTokenVerifier(options: {
  audience: string
  now(): number
  /** A runner's public key, base64url; undefined when it is not enrolled. */
  key(runner: string): Promise<string | undefined>
}): TokenVerifier {
  const { audience, now, key } = options
  const verified = new Map<string, { runner: string; until: number }>()

  async function verify(token: string): Promise<{ runner: string; until: number } | null> {
    const { kid } = decodeProtectedHeader(token)
    const publicKey = kid === undefined ? undefined : await key(kid)
    if (kid === undefined || publicKey === undefined) return null
    const jwk = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: publicKey }, 'EdDSA')
    const { payload } = await jwtVerify(token, jwk, {
      algorithms: ['EdDSA', 'Ed25519'],
      audience,
      issuer: kid,
      requiredClaims: ['exp', 'iat'],
      // Without it a token dated ahead would live for longer.
      maxTokenAge: limits.tokenMs / 1000,
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(now()),
    })
    const { exp = 0, iat = 0 } = payload
    return (exp - iat) * 1000 > limits.tokenMs ? null : { runner: kid, until: exp * 1000 }
  }

  return async token => {
    const cached = verified.get(token)
    if (cached && cached.until > now()) return cached.runner
    verified.delete(token)
    // Whatever is wrong with a token, its sender learns nothing of it.
    const fresh = await verify(token).catch(() => null)
    if (fresh === null) return null
    const oldest = verified.keys().next().value
    if (verified.size >= maxCached && oldest !== undefined) verified.delete(oldest)
    verified.set(token, fresh)
    return fresh.runner
  }
}

import type { KeyObject } from 'node:crypto'
import { SignJWT } from 'jose'
import { limits } from '../../protocol/limits.ts'

export type Signer = {
  /** A token good for at least 20 s more. */
  token(): Promise<string>
  /** Forgets the token, so that the next one is fresh. */
  renew(): void
}

export type SignerOptions = { id: string; privateKey: KeyObject; audience: string; now?: () => number }

const lifeSeconds = limits.tokenMs / 1000
const reuseMs = limits.tokenMs - 20_000

/** Signs tokens for the edge (EdDSA, 60 s) and reuses each until 20 s before it expires. */
export function createSigner({ id, privateKey, audience, now = Date.now }: SignerOptions): Signer {
  let current: { token: Promise<string>; until: number } | null = null

  function sign(): Promise<string> {
    const issuedAt = Math.floor(now() / 1000)
    return new SignJWT()
      .setProtectedHeader({ alg: 'EdDSA', kid: id })
      .setIssuer(id)
      .setAudience(audience)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + lifeSeconds)
      .sign(privateKey)
  }

  return {
    token() {
      if (current === null || now() >= current.until) current = { token: sign(), until: now() + reuseMs }
      return current.token
    },
    renew() {
      current = null
    },
  }
}

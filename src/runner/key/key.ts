import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint } from 'jose'

/** A host's identity. `id` is the RFC 7638 thumbprint of its public key; `publicKey` the raw 32 bytes in base64url. */
export type RunnerKey = { id: string; publicKey: string; privateKey: KeyObject }

/** Private key as PKCS#8 PEM or as a JWK. Throws when it is neither, or no Ed25519 key. */
export async function parseKey(source: string): Promise<RunnerKey> {
  const privateKey = source.trimStart().startsWith('{')
    ? createPrivateKey({ key: JSON.parse(source), format: 'jwk' })
    : createPrivateKey(source)
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error('It is not an Ed25519 key')
  return await keyOf(privateKey)
}

export async function keyOf(privateKey: KeyObject): Promise<RunnerKey> {
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' })
  const id = await calculateJwkThumbprint({ kty: 'OKP', crv: 'Ed25519', x })
  return { id, publicKey: x, privateKey }
}

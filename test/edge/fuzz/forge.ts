import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { calculateJwkThumbprint } from 'jose'
import { adminToken, type TestEdge } from '../../support/edge.ts'

/** A runner's key, in hands that sign whatever they like. */
export type Forger = {
  id: string
  /** What a good token says. */
  header: Record<string, unknown>
  payload(): Record<string, unknown>
  /** Any header over any payload, signed rightly. */
  signed(header: object, payload: object): string
  /** The same, signed as if the public key were a shared secret. */
  hmac(header: object, payload: object): string
}

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Makes a key; `enrolled` false: the edge is not told of it. */
export async function createForger(edge: TestEdge, { enrolled }: { enrolled: boolean }): Promise<Forger> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const { x = '' } = publicKey.export({ format: 'jwk' })
  const id = await calculateJwkThumbprint({ kty: 'OKP', crv: 'Ed25519', x })
  if (enrolled) {
    const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' }
    const body = JSON.stringify({ name: 'forger', public_key: x })
    const response = await edge.request('/admin/runners', { method: 'POST', headers, body })
    if (!response.ok) throw new Error(await response.text())
  }
  return {
    id,
    header: { alg: 'EdDSA', kid: id },
    payload() {
      const iat = Math.floor(Date.now() / 1000)
      return { iss: id, aud: edge.url, iat, exp: iat + 60 }
    },
    signed: (header, payload) => withSignature(header, payload, privateKey),
    hmac(header, payload) {
      const text = `${base64url(header)}.${base64url(payload)}`
      return `${text}.${createHmac('sha256', Buffer.from(x, 'base64url')).update(text).digest('base64url')}`
    },
  }
}

function withSignature(header: object, payload: object, key: KeyObject): string {
  const text = `${base64url(header)}.${base64url(payload)}`
  return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`
}

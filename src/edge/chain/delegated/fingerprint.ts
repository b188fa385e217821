import { sha256 } from '@noble/hashes/sha2'
import { bytesToHex } from '@noble/hashes/utils'

const encoder = new TextEncoder()

/** What tells one input from another: the SHA-256 of its text in UTF-8, in hex; and how many bytes that is. */
export function fingerprintOf(data: string): { fingerprint: string; bytes: number } {
  const encoded = encoder.encode(data)
  return { fingerprint: bytesToHex(sha256(encoded)), bytes: encoded.byteLength }
}

import type { Address, Hex } from 'viem'
import { recoverAddress } from 'viem/utils'

/** `r` and `s`: 32 bytes each. */
export type Signature = { v: number; r: Hex; s: Hex }

/** The order of secp256k1. */
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const maxS = order / 2n

/**
 * Whether the coordinator takes a signature for one of an account's key: of the two that sign the same it takes the one with s in the
 * lower half, with v of 27 or 28. Any other may still be what a contract accepts that signs (EIP-1271).
 */
export function isCanonical({ v, s }: Signature): boolean {
  return (v === 27 || v === 28) && BigInt(s) <= maxS
}

/** Whose key has signed a hash, as the coordinator judges it, in lower case. @returns null: nobody's. */
export async function recoverSigner(digest: Hex, signature: Signature): Promise<Address | null> {
  if (!isCanonical(signature)) return null
  const { v, r, s } = signature
  try {
    const signer = await recoverAddress({ hash: digest, signature: { v: BigInt(v), r, s } })
    return signer.toLowerCase() as Address
  } catch (error) {
    if (isNobodys(error)) return null
    throw error
  }
}

/**
 * An r or s out of range, an r that no point of the curve has, a key that is no point: plain errors, while the curve's code that cannot be
 * loaded is a `TypeError` in browsers, and has a `code` in Node.
 */
function isNobodys(error: unknown): boolean {
  return error instanceof Error && error.name === 'Error' && !('code' in error)
}

/** The form that `isCanonical` asks for, of a signature as some wallets give it: v of 0 or 1, s in the upper half. */
export function toCanonical({ v, r, s }: Signature): Signature {
  const bit = v < 27 ? v : v - 27
  if (BigInt(s) <= maxS) return { v: 27 + bit, r, s }
  return { v: 27 + (1 - bit), r, s: `0x${(order - BigInt(s)).toString(16).padStart(64, '0')}` }
}

/** The parts of 65 bytes as wallets give them: r, s, v. @returns null when it is not 65 bytes. */
export function splitSignature(bytes: Hex): Signature | null {
  if (!/^0x[0-9a-f]{130}$/i.test(bytes)) return null
  const at = (from: number, to: number): Hex => `0x${bytes.slice(2 + from * 2, 2 + to * 2).toLowerCase()}`
  return { r: at(0, 32), s: at(32, 64), v: Number(at(64, 65)) }
}

/** The same bytes again. */
export function joinSignature({ v, r, s }: Signature): Hex {
  return `${r}${s.slice(2)}${v.toString(16).padStart(2, '0')}`
}

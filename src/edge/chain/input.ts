import { type Hex, sha256 } from 'viem'

/** A consumer's input as containers get it: a JSON text of its hex, without `0x` (reference node 2.2). */
export function inputText(input: Hex): string {
  return JSON.stringify(input.slice(2))
}

/** SHA-256 of an input, in hex: tells whether a subscription of the same terms asks for the same. */
export function inputFingerprint(input: Hex): string {
  return sha256(input).slice(2)
}

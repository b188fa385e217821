/** Characters that one call may spread: arguments are on the stack. */
const spreadBytes = 8192

/** Hosts do not have `Uint8Array.prototype.toBase64` all together yet. */
export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let from = 0; from < bytes.byteLength; from += spreadBytes)
    binary += String.fromCharCode(...bytes.subarray(from, from + spreadBytes))
  return btoa(binary)
}

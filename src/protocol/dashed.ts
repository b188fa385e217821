/** A runner's id, or its public key: 32 bytes in base64url, whose first character may be a dash. */
const dashed = /^-[\w-]{42}$/

/** Words of a command line, so that no id or key is taken for an option: as the value of the option before it, or at the end as a word. */
export function shieldDashed(args: readonly string[]): string[] {
  const end = args.includes('--') ? args.indexOf('--') : args.length
  const shielded: string[] = []
  const words: string[] = []
  for (const arg of args.slice(0, end)) {
    const before = shielded.at(-1)
    if (!dashed.test(arg)) shielded.push(arg)
    else if (before?.startsWith('--') && !before.includes('=')) shielded.splice(-1, 1, `${before}=${arg}`)
    else words.push(arg)
  }
  // What follows is words already.
  words.push(...args.slice(end + 1))
  return words.length === 0 ? shielded : [...shielded, '--', ...words]
}

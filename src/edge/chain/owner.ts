/** Who owns the jobs that a chain asks for: nobody's address, so they are nobody's to list or to cancel. */
export function ownerOfChain(chain: number): string {
  return `chain:${chain}`
}

/** The chain that owns a job; null: somebody else does. */
export function chainOf(owner: string): number | null {
  const [, chain] = /^chain:(\d+)$/.exec(owner) ?? []
  return chain === undefined ? null : Number(chain)
}

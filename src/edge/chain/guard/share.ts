/**
 * Parts of an amount that are to each other as the weights are, and together are all of it. Weights: whole, 0 or more; where all are 0 the
 * parts are the same, but for what is left over.
 */
export function shares(amount: number, weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + BigInt(weight), 0n)
  const weighed = total > 0n ? weights.map(BigInt) : weights.map(() => 1n)
  const whole = total > 0n ? total : BigInt(weights.length)
  let before = 0n
  return weighed.map(weight => {
    // From edge to edge, so that nothing is lost by rounding.
    const from = (BigInt(amount) * before) / whole
    before += weight
    return Number((BigInt(amount) * before) / whole - from)
  })
}

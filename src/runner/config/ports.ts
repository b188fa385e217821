/**
 * The host port of each container that runs here, in file order: its own, or, when an earlier one has that, the next free from
 * 3999 downwards (the reference's rule).
 */
export function assignPorts(wanted: readonly number[]): number[] {
  const taken = new Set<number>()
  let spare = 3999
  return wanted.map(port => {
    let given = port
    while (taken.has(given)) given = spare--
    taken.add(given)
    return given
  })
}

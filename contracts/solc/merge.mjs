/** "There are more than 256 warnings. Ignoring the rest." Once is enough, as the last. */
const tooMany = '4591'

/** One output of several runs over the same sources, as a single run gives it: keys in order, each warning once. */
export function merge(outputs) {
  const errors = distinct(outputs.flatMap(output => output.errors ?? []))
  const contracts = outputs.map(output => output.contracts ?? {})
  const sources = outputs.map(output => output.sources ?? {})
  return {
    ...(contracts.some(isFilled) && { contracts: union(contracts) }),
    ...(errors.length > 0 && { errors }),
    sources: union(sources),
  }
}

/** Of a file's entries the one with most in it: all runs number a source, one has its syntax tree. */
function union(objects) {
  const entries = objects.flatMap(object => Object.entries(object))
  const merged = new Map()
  for (const [name, value] of entries) merged.set(name, { ...merged.get(name), ...value })
  const order = (a, b) => (a < b ? -1 : 1)
  return Object.fromEntries(
    [...merged].sort(([a], [b]) => order(a, b)).map(([name, value]) => [name, sorted(value)]),
  )
}

function sorted(object) {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function distinct(errors) {
  const unique = [...new Map(errors.map(error => [JSON.stringify(error), error])).values()]
  const last = unique.find(({ errorCode }) => errorCode === tooMany)
  const rest = unique.filter(({ errorCode }) => errorCode !== tooMany)
  return last ? [...rest, last] : rest
}

function isFilled(object) {
  return Object.keys(object).length > 0
}

/**
 * The same input several times, each asking for the output of some of the files. All keep every source: identifiers in syntax trees
 * are counted over all of them, and names in generated code are made of those.
 */
export function split(json, parts) {
  const input = JSON.parse(json)
  const selection = input.settings?.outputSelection ?? {}
  const files = Object.keys(selection).filter(file => Object.keys(selection[file]).length > 0)
  // A pattern asks for files that it does not name.
  if (parts < 2 || files.length < 2 || '*' in selection) return [json]
  const shares = share(files, file => weigh(input.sources[file]), parts)
  return shares.map(names =>
    JSON.stringify({
      ...input,
      settings: {
        ...input.settings,
        outputSelection: Object.fromEntries(names.map(name => [name, selection[name]])),
      },
    }),
  )
}

/** The heaviest first, each to whoever has least. */
function share(files, weightOf, parts) {
  const shares = Array.from({ length: Math.min(parts, files.length) }, () => ({ names: [], weight: 0 }))
  const weighed = files.map(name => ({ name, weight: weightOf(name) })).sort((a, b) => b.weight - a.weight)
  for (const { name, weight } of weighed) {
    const [least] = shares.toSorted((a, b) => a.weight - b.weight)
    least.names.push(name)
    least.weight += weight
  }
  return shares.map(({ names }) => names)
}

/** Time goes with the text of contracts. Interfaces and abstract contracts have no code, and libraries mostly get theirs in others. */
function weigh({ content = '' } = {}) {
  return /^\s*contract\s/m.test(content) ? content.length : 1
}

/** How tests are compiled, whatever the input says. */
const forTests = { viaIR: false, optimizer: { enabled: true, runs: 1 } }

/** What an answer depends on beside the input: into how many parts that was split is no matter. */
export const manner = JSON.stringify(forTests)

/**
 * The same input several times, each asking for the output of some of the files; as it is, where that is all of them. All keep every
 * source: identifiers in syntax trees are counted over all of them, and names in generated code are made of those.
 */
export function split(json, parts) {
  const input = JSON.parse(json)
  const selection = input.settings?.outputSelection ?? {}
  const files = Object.keys(selection).filter(file => Object.keys(selection[file]).length > 0)
  // A pattern asks for files that it does not name.
  if ('*' in selection) return [json]
  const tests = files.filter(isTest)
  if (tests.length === 0 && (parts < 2 || files.length < 2)) return [json]
  const asked = (names, settings) =>
    share(names, file => weigh(input.sources[file]), parts).map(some =>
      JSON.stringify({
        ...input,
        settings: {
          ...input.settings,
          ...settings,
          outputSelection: Object.fromEntries(some.map(name => [name, selection[name]])),
        },
      }),
    )
  const others = files.filter(file => !isTest(file))
  return [...asked(others, {}), ...asked(tests, forTests)]
}

/**
 * Nobody deploys a test, and what it tests is not in it: it is deployed by name. Left out are those that contain contracts of ours all the same, in which
 * the stack would be too deep: the names that others compile against, and the examples.
 */
function isTest(file) {
  return /^test\/(?!compat\/|examples\/).*\.t\.sol$/.test(file)
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

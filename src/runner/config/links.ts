import { type Problem, pathOf } from './problem.ts'

type Loose = Record<string, unknown>

/** A link joins two containers that are started here: of others nobody has the network. */
export function linkProblems(containers: readonly Loose[], managed: boolean): Problem[] {
  const startedHere = new Set(containers.filter(({ url }) => managed && !url).map(({ id }) => id))
  return containers.flatMap(({ id, links }, index) =>
    (Array.isArray(links) ? links : []).flatMap((linked: unknown, at) => {
      const what = wrongWith({ id, linked, startedHere })
      return what === null
        ? []
        : [
            {
              path: pathOf(['containers', index, 'links', at]),
              what,
              fix: 'name the id of another container that is started here',
            },
          ]
    }),
  )
}

function wrongWith({ id, linked, startedHere }: { id: unknown; linked: unknown; startedHere: Set<unknown> }) {
  if (linked === id) return 'is the container itself'
  if (!startedHere.has(id)) return 'is a link of a container that is not started here'
  return startedHere.has(linked) ? null : 'is no container that is started here'
}

import { linkProblems } from './links.ts'
import { type Problem, pathOf } from './problem.ts'
import { startProblems } from './start.ts'

/** Rules between fields. They read the file as it stands, so that they speak even when something else in it is wrong. */
export function crossFieldProblems(file: unknown): Problem[] {
  const root = asObject(file)
  const containers = Array.isArray(root.containers) ? root.containers.map(asObject) : []
  const managed = !isOff(root.manage_containers)
  return [
    ...(managed ? imageProblems(containers) : []),
    ...startProblems(containers, managed),
    ...duplicateProblems(containers),
    ...linkProblems(containers, managed),
    ...openAiProblems(containers),
    ...(isOn(root.require_isolation) ? unkeptProblems(containers, { egress: root.egress, managed }) : []),
  ]
}

function isOn(flag: unknown): boolean {
  return ['true', '1', 'yes', 'on'].includes(String(flag).toLowerCase())
}

function isOff(flag: unknown): boolean {
  return ['false', '0', 'no', 'off'].includes(String(flag).toLowerCase())
}

type Loose = Record<string, unknown>

/** The reference asks this of every container; one with a `url` is never started here, so it needs no image. */
function imageProblems(containers: readonly Loose[]): Problem[] {
  return containers.flatMap(({ image, url }, index) =>
    image || url
      ? []
      : [
          {
            path: pathOf(['containers', index, 'image']),
            what: 'image must be defined when manage_containers is set to true',
            fix: 'name a Docker image, or give the container a `url`, or set manage_containers to false',
          },
        ],
  )
}

/** A container speaks one API, or ours and OpenAI's. */
function openAiProblems(containers: readonly Loose[]): Problem[] {
  return containers.flatMap(({ api, openai }, index) =>
    api === 'cog' && isOn(openai)
      ? [
          {
            path: pathOf(['containers', index, 'openai']),
            what: 'is not for a container whose api is "cog", which has no /v1/chat/completions',
            fix: 'leave one of the two out',
          },
        ]
      : [],
  )
}

/** Nobody here keeps a container in its place that runs elsewhere. Where that is required, the file says of each that it is known. */
function unkeptProblems(
  containers: readonly Loose[],
  { egress: usual, managed }: { egress: unknown; managed: boolean },
): Problem[] {
  return containers.flatMap(({ url, egress = usual }, index) =>
    (managed && !url) || egress === 'open'
      ? []
      : [
          {
            path: pathOf(['containers', index, 'egress']),
            what: 'cannot be kept, and require_isolation is set: the container is not started here',
            fix: 'set it to "open" and isolate the container where it runs, or have it started here from an image',
          },
        ],
  )
}

function duplicateProblems(containers: readonly Loose[]): Problem[] {
  const first = new Map<unknown, number>()
  return containers.flatMap(({ id }, index) => {
    if (typeof id !== 'string') return []
    const earlier = first.get(id)
    if (earlier === undefined) {
      first.set(id, index)
      return []
    }
    const what = `has the same id as ${pathOf(['containers', earlier])}`
    return [{ path: pathOf(['containers', index, 'id']), what, fix: 'give every container an id of its own' }]
  })
}

function asObject(value: unknown): Loose {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

/** `name:tag`, `name@digest` or a bare name, which means its tag `latest`. A registry's port is no tag. */
export function splitReference(image: string): { name: string; tag: string } {
  const [name = '', digest] = image.split('@')
  if (digest !== undefined) return { name, tag: digest }
  const colon = name.lastIndexOf(':')
  return colon > name.lastIndexOf('/')
    ? { name: name.slice(0, colon), tag: name.slice(colon + 1) }
    : { name, tag: 'latest' }
}

/** What Docker calls its own registry, where an image names none. */
export const dockerHub = 'https://index.docker.io/v1/'

const hubNames: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io'])

/** The registry that a reference names: a first part with a dot or a port in it, or `localhost`. */
export function registryOf(image: string): string {
  const [first = '', rest] = image.split('/')
  const isNamed = rest !== undefined && /[.:]|^localhost$/.test(first)
  return isNamed && !hubNames.has(first) ? first : dockerHub
}

const domain = String.raw`(?:[A-Za-z\d-]+(?:\.[A-Za-z\d-]+)*|\[[\dA-Fa-f:]+\])(?::\d+)?`
const component = String.raw`[a-z\d]+(?:(?:\.|__?|-+)[a-z\d]+)*`
const digest = String.raw`[A-Za-z][A-Za-z\d]*(?:[-_+.][A-Za-z][A-Za-z\d]*)*:[\dA-Fa-f]{32,}`
const reference = new RegExp(
  String.raw`^(?:${domain}/)?${component}(?:/${component})*(?::\w[\w.-]{0,127})?(?:@${digest})?$`,
)

/** Whether Docker would take it for a name of an image (the grammar of distribution/reference), or for an id. */
export function isImage(text: string): boolean {
  return reference.test(text)
}

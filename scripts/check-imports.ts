import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The import rule of docs/architecture.md. Between parts: who may import whom. Inside the edge: routes above, then the layers
 * that do the work, then the database; never upward. No cycles anywhere. Platform modules only where a host is wired.
 */
const root = fileURLToPath(new URL('..', import.meta.url))

const parts: Record<string, readonly string[]> = {
  protocol: [],
  edge: ['protocol'],
  runner: ['protocol'],
  client: ['protocol'],
  host: ['protocol', 'edge'],
  local: ['protocol', 'edge', 'runner', 'client', 'host'],
}

/** Layers inside `src/edge`, top first. A file may import from its own layer and those below. Files in no folder are wiring. */
const edgeLayers = ['routes', 'chain', 'stream', 'runners', 'jobs', 'bell', 'db'] as const

/** Edge files that may import `cloudflare:*` or `node:*`: where a host is wired, and what never runs in a Worker. */
const platformFiles = [
  'src/edge/index.ts',
  'src/edge/bell/object.ts',
  'src/edge/bell/remote.ts',
  'src/edge/stream/object.ts',
  'src/edge/chain/tick/object.ts',
  'src/edge/db/migrate.ts',
]

type Import = { from: string; to: string; typeOnly: boolean }

const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.ts'))
  .map(file => `src/${file.split(sep).join('/')}`)
const imports = files.flatMap(importsOf)
const problems = [
  ...imports.flatMap(checkParts),
  ...imports.flatMap(checkEdgeLayers),
  ...imports.flatMap(checkPlatform),
  ...cycles(imports),
]

for (const problem of problems) console.error(problem)
console.log(`${files.length} files, ${imports.length} imports, ${problems.length} problems`)
process.exit(problems.length > 0 ? 1 : 0)

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8')
  const pattern =
    /^\s*(?:import|export)\s+(type\s)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm
  return [...text.matchAll(pattern)].map(([, typeOnly, named, dynamic]) => {
    const target = named ?? dynamic ?? ''
    const to = target.startsWith('.')
      ? relative(root, normalize(join(root, dirname(file), target)))
          .split(sep)
          .join('/')
      : target
    return { from: file, to, typeOnly: typeOnly !== undefined }
  })
}

function checkParts({ from, to }: Import): string[] {
  if (!to.startsWith('src/')) return []
  const [, part = ''] = from.split('/')
  const [, target = ''] = to.split('/')
  if (part === target || parts[part]?.includes(target)) return []
  return [`${from} imports ${to}: ${part} may import ${parts[part]?.join(', ') || 'nothing of ours'}`]
}

function checkEdgeLayers({ from, to }: Import): string[] {
  const layer = layerOf(from)
  const target = layerOf(to)
  if (layer === -1 || target === -1 || target >= layer) return []
  return [
    `${from} imports ${to}: ${edgeLayers[layer]} may not import ${edgeLayers[target]}, which is above it`,
  ]
}

function layerOf(file: string): number {
  const [, part, folder] = file.split('/')
  return part === 'edge' ? (edgeLayers as readonly string[]).indexOf(folder ?? '') : -1
}

function checkPlatform({ from, to }: Import): string[] {
  const web = from.startsWith('src/edge/') || from.startsWith('src/protocol/')
  if (!web || !/^(node|cloudflare):/.test(to) || platformFiles.includes(from)) return []
  return [`${from} imports ${to}: only ${platformFiles.join(', ')} may import platform modules`]
}

/** Import cycles make the order of evaluation matter. Types are erased, so they do not count. */
function cycles(all: readonly Import[]): string[] {
  const graph = Map.groupBy(
    all.filter(({ typeOnly }) => !typeOnly),
    ({ from }) => from,
  )
  const done = new Set<string>()
  const found: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      found.push(`Import cycle: ${[...path.slice(path.indexOf(file)), file].join(' -> ')}`)
      return
    }
    if (done.has(file)) return
    for (const { to } of graph.get(file) ?? []) visit(to, [...path, file])
    done.add(file)
  }
  for (const file of graph.keys()) visit(file, [])
  return found
}

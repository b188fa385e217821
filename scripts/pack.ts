import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { leanHeap } from '../src/host/lean-heap.ts'

/**
 * Makes the package that hosts install: `npm run pack [-- DIRECTORY]`, then `npm install --global dist/infernet-edge-*.tgz`. The runner and the client
 * as JavaScript, since no Node runs TypeScript from inside `node_modules`, with the dependencies that these two have and no others. A
 * folder of its own is packed, with a package.json of its own: `npm pack` here would take the edge's dependencies along, and its scripts
 * do not run where `ignore-scripts` is set, as it is here.
 */
const root = fileURLToPath(new URL('..', import.meta.url))
const out = resolve(process.argv[2] ?? join(root, 'dist'))
const stage = join(out, 'package')
const { name, version, description, license, dependencies } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
) as Record<'name' | 'version' | 'description' | 'license', string> & { dependencies: Record<string, string> }

/** undici's own bound, the highest of all. */
const leastNode = '22.19.0'
/** What each command is started with; the runner as `npm run runner` does: streams pass through it, and a large young heap keeps them. */
const flags = { 'infernet-runner': leanHeap, infernet: null } as const
type Command = keyof typeof flags
const commands = Object.keys(flags) as Command[]

rmSync(stage, { recursive: true, force: true })
mkdirSync(join(stage, 'bin'), { recursive: true })
const external = await bundle()
for (const command of commands) writeLauncher(command)
copyFileSync(join(root, 'LICENSE'), join(stage, 'LICENSE'))
writeFileSync(join(stage, 'README.md'), readme())
writeFileSync(join(stage, 'package.json'), `${JSON.stringify(manifest(external), null, 2)}\n`)
const packed = spawnSync('npm', ['pack', '--silent', '--pack-destination', out], {
  cwd: stage,
  stdio: ['ignore', 'pipe', 'inherit'],
  encoding: 'utf8',
})
if (packed.status !== 0) throw new Error(`npm pack ended with ${packed.status}`)
console.log(join(out, packed.stdout.trim()))

/** @returns the packages that the code imports. */
async function bundle(): Promise<Set<string>> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: {
      'infernet-runner': 'src/runner/main.ts',
      // A thread is started by its file, which has to lie beside the others.
      thread: 'src/runner/heartbeat/thread.ts',
      infernet: 'src/client/main.ts',
    },
    outdir: join(stage, 'lib'),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: `node${leastNode}`,
    packages: 'external',
    metafile: true,
    logLevel: 'warning',
  })
  const imported = Object.values(metafile.outputs).flatMap(({ imports }) =>
    imports.filter(one => one.external && !one.path.startsWith('node:')).map(({ path }) => packageOf(path)),
  )
  return new Set(imported)
}

function packageOf(path: string): string {
  return path
    .split('/')
    .slice(0, path.startsWith('@') ? 2 : 1)
    .join('/')
}

function manifest(imported: ReadonlySet<string>): object {
  const needed = [...imported].sort().map(one => {
    const exact = dependencies[one]
    if (exact === undefined) throw new Error(`${one} is imported, and no dependency in package.json`)
    return [one, exact] as const
  })
  return {
    name,
    version,
    description,
    license,
    // Nothing of this is published.
    private: true,
    type: 'module',
    engines: { node: `>=${leastNode}` },
    bin: Object.fromEntries(commands.map(command => [command, `bin/${command}.js`])),
    files: ['bin', 'lib'],
    dependencies: Object.fromEntries(needed),
  }
}

/** Plain enough for the Node that it refuses: npm only warns of one that is too old. */
function writeLauncher(command: Command): void {
  const path = join(stage, 'bin', `${command}.js`)
  writeFileSync(
    path,
    `#!/usr/bin/env ${flags[command] === null ? 'node' : `-S node ${flags[command]}`}
const least = ${JSON.stringify(leastNode.split('.').map(Number))}
const has = process.versions.node.split('.').map(Number)
const at = least.findIndex((number, index) => number !== has[index])
if (at >= 0 && has[at] < least[at]) {
  console.error(\`Node \${process.versions.node} is too old for ${command}: it needs ${leastNode} or newer.\`)
  process.exit(1)
}
await import('../lib/${command}.js')
`,
  )
  chmodSync(path, 0o755)
}

function readme(): string {
  return `# ${name}

${description}

This package has the commands of a host and of a client:

- \`infernet-runner\` runs containers for an edge: \`infernet-runner init\`, then \`infernet-runner doctor\`.
- \`infernet\` asks an edge for jobs: \`infernet --help\`.

It needs Node ${leastNode} or newer.
`
}

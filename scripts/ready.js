// Makes a fresh clone ready to run: installs what the lock names when it is not there yet. Plain JavaScript without
// dependencies, because it runs before there are any, on whatever Node (>= 20) the machine has.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < 20)
  fail(
    `Node ${process.versions.node} is too old: 20 or newer is needed, for npm's sake; the rest brings its own.`,
  )

// The hidden lock is written when an install has succeeded; the folder alone may be half an install.
const installed = modified('node_modules/.package-lock.json')
if (installed === 0 || installed < modified('package-lock.json')) install()

const runtime = existsSync(`${root}node_modules/.bin/node`)
if (!runtime && (major < 22 || (major === 22 && minor < 18))) {
  fail(
    `There is no pinned Node for ${process.platform}-${process.arch}, and Node ${process.versions.node} cannot run TypeScript. Install Node 22.18 or newer.`,
  )
}
if (runtime && spawnSync(`${root}node_modules/.bin/node`, ['--version']).status !== 0) {
  fail(
    'The pinned Node does not start here. On Debian it needs libatomic1 (apt-get install libatomic1); musl is not supported.',
  )
}

function modified(path) {
  return statSync(root + path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function install() {
  console.log('Installing packages (npm ci)…')
  const started = Date.now()
  const npm = process.env.npm_execpath
  const [command, args] = npm ? [process.execPath, [npm]] : ['npm', []]
  const { status } = spawnSync(command, [...args, 'ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
    shell: !npm && process.platform === 'win32',
  })
  if (status !== 0) fail('npm ci failed; its messages are above.', status ?? 1)
  console.log(`Installed in ${((Date.now() - started) / 1000).toFixed(1)} s.`)
}

function fail(message, status = 1) {
  console.error(message)
  process.exit(status)
}

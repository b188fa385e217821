// Makes a fresh clone ready, then runs a program of it on the pinned Node: `node scripts/ready.js PROGRAM [ARGUMENT ...]`. Plain
// JavaScript without dependencies, because it runs before there are any, on whatever Node (>= 20) the machine has. Not a `pre`
// script: npm skips those where `ignore-scripts` is set, as it is here.
import { spawn, spawnSync } from 'node:child_process'
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

const pinned = `${root}node_modules/.bin/node`
const runtime = existsSync(pinned) ? pinned : process.execPath
if (runtime !== pinned && (major < 22 || (major === 22 && minor < 18))) {
  fail(
    `There is no pinned Node for ${process.platform}-${process.arch}, and Node ${process.versions.node} cannot run TypeScript. Install Node 22.18 or newer.`,
  )
}
if (runtime === pinned && spawnSync(pinned, ['--version']).status !== 0) {
  fail(
    'The pinned Node does not start here. On Debian it needs libatomic1 (apt-get install libatomic1); musl is not supported.',
  )
}

// Node's own, of what it has compiled, and stripped of types, before: half the time that our smaller programs take to start.
const compiled = `${root}node_modules/.cache/node`

const program = process.argv.slice(2)
if (program.length > 0) run(program)

/** Its end is ours. Signals are the program's to answer: a terminal sends them to both, others only to us. */
function run(args) {
  const child = spawn(runtime, args, {
    stdio: 'inherit',
    env: { NODE_COMPILE_CACHE: compiled, ...process.env },
  })
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)))
  child.on('error', error => fail(`The program did not start: ${error.message}`))
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

import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Config } from '../edge/config.ts'
import { StartError } from './exit.ts'
import { leanHeap } from './lean-heap.ts'
import type { Options } from './options.ts'
import { settingNames } from './settings.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const main = fileURLToPath(new URL('deno-main.ts', import.meta.url))

/** Becomes Deno: the same process, so that signals, exit code and standard streams need nobody to pass them on. */
export function execDeno(options: Options, config: Config): void {
  const { hostname, port } = options
  const args = ['--host', 'deno', '--hostname', hostname, '--port', String(port)]
  const deno = denoProgram()
  if (!process.execve)
    throw new StartError('config', `Node ${process.version} cannot become another program.`)
  process.execve(deno, [deno, ...denoArgs({ options, config, script: main }), ...args], process.env)
}

/** @throws StartError when there is none. */
export function denoProgram(): string {
  const { platform, arch } = process
  // The npm package `deno` is a script that starts it as a child; the program itself is in one of these.
  const name = `@deno/${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}/deno`
  try {
    const { resolve } = createRequire(createRequire(import.meta.url).resolve('deno/package.json'))
    return resolve(name)
  } catch (error) {
    throw new StartError('config', `Deno is not installed for ${platform}-${arch}: run npm ci.`, {
      cause: error,
    })
  }
}

/** Deno's own arguments, with no more permissions than the edge needs. */
export function denoArgs({
  options,
  config,
  script,
}: {
  options: Pick<Options, 'hostname' | 'port'>
  config: Pick<Config, 'DATABASE_URL' | 'CHAINS' | 'chains'>
  script: string
}): string[] {
  const url = config.DATABASE_URL
  const isFile = url.startsWith('file:')
  const env = [...settingNames(config), ...(isFile ? fileEnv : [])]
  const remote = [...(isFile ? [] : [url]), ...config.chains.flatMap(({ urls }) => urls)]
  const net = [listenAddress(options), ...new Set(remote.map(remoteAddress))]
  return [
    'run',
    '--quiet',
    '--no-prompt',
    '--no-lock',
    '--cached-only',
    '--node-modules-dir=manual',
    `--v8-flags=${leanHeap}`,
    // A request's signal means that its client has left, not that it was answered.
    '--unstable-no-legacy-abort',
    `--allow-env=${env.join(',')}`,
    `--allow-net=${net.join(',')}`,
    ...(isFile ? filePermissions : []),
    script,
  ]
}

// Native code may do what this process may, whatever else Deno grants: the rest is what loading it asks for.
const fileEnv = ['LIBSQL_JS_DEV']
const filePermissions = [`--allow-ffi=${root}node_modules`, `--allow-read=${root}node_modules`, '--allow-sys']

function listenAddress({ hostname, port }: Pick<Options, 'hostname' | 'port'>): string {
  const host = hostname.includes(':') ? `[${hostname}]` : hostname
  return port === 0 ? host : `${host}:${port}`
}

function remoteAddress(url: string): string {
  const { hostname, port, protocol } = new URL(url)
  return `${hostname}:${port || (protocol === 'http:' ? 80 : 443)}`
}

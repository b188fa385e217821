import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Bump when what is installed changes. */
const version = 'a'
const installMs = 50_000

/** What its calls need: those about chains half a minute more to install. */
const needed = {
  http: ['aiohttp>=3.9.2,<4', 'click>=8.1.7,<9', 'typing_extensions'],
  chain: ['aiohttp>=3.9.2,<4', 'click>=8.1.7,<9', 'typing_extensions', 'web3>=6.19.0,<7'],
}

/**
 * A Python with the reference's client 1.4.0, kept between runs in the system's folder for temporary files.
 * @returns its path, or why there is none.
 */
export async function installReference(
  calls: keyof typeof needed = 'http',
): Promise<{ python: string } | { missing: string }> {
  const folder = join(tmpdir(), `infernet-client-1.4.0-${calls === 'http' ? '' : `${calls}-`}${version}`)
  const python = join(folder, 'bin', 'python')
  if (process.env.INFERNET_PYTHON === '0') return { missing: 'INFERNET_PYTHON=0' }
  if (existsSync(python)) return { python }
  const fresh = `${folder}.${process.pid}`
  try {
    await install(fresh, needed[calls])
    await rename(fresh, folder).catch(() => {
      // Another run was first.
    })
    return existsSync(python) ? { python } : { missing: `${folder} could not be made` }
  } catch (error) {
    return { missing: error instanceof Error ? lastLine(error) : String(error) }
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
}

async function install(folder: string, packages: readonly string[]): Promise<void> {
  const timeout = installMs
  await run('python3', ['-m', 'venv', folder], { timeout })
  const pip = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--no-input',
    '--retries',
    '0',
  ]
  const python = join(folder, 'bin', 'python')
  await run(python, [...pip, '--no-deps', 'infernet-client==1.4.0'], { timeout })
  await run(python, [...pip, '--only-binary', ':all:', ...packages], { timeout })
}

function lastLine(error: Error): string {
  const said = 'stderr' in error ? String(error.stderr).trim() : ''
  return said.split('\n').at(-1) || error.message.split('\n')[0] || error.name
}

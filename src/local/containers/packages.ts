import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Example } from './examples.ts'
import { withLock } from './lock.ts'

/** Installs an example's packages when they are missing or older than its lock file. */
export async function installPackages(example: Example, log: (line: string) => void): Promise<void> {
  if (!example.packages || (await isInstalled(example))) return
  // Two installs at once would delete each other's files.
  await withLock(`install-${example.id}`, async () => {
    if (await isInstalled(example)) return
    log(`${example.id}: installing its packages`)
    const started = performance.now()
    await install(example)
    log(`${example.id}: packages installed in ${((performance.now() - started) / 1000).toFixed(1)} s`)
  })
}

/** npm writes its hidden lock file last, so an install that was broken off does not count. */
async function isInstalled({ folder }: Example): Promise<boolean> {
  const installed = await modified(join(folder, 'node_modules/.package-lock.json'))
  const locked = await modified(join(folder, 'package-lock.json'))
  return installed !== undefined && locked !== undefined && installed >= locked
}

async function modified(path: string): Promise<number | undefined> {
  return await stat(path).then(
    file => file.mtimeMs,
    () => undefined,
  )
}

async function install({ id, folder }: Example): Promise<void> {
  const npm = process.env.npm_execpath
  const [command, ...first] = npm ? [process.execPath, npm] : ['npm']
  const args = [
    ...first,
    'ci',
    '--omit=dev',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.on('data', chunk => {
    errors += chunk
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`npm ci for ${id} ended with ${code}: ${errors.trim()}`)
}

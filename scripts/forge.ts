import { spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** forge looks for its compiler from where it is started. */
const cwd = fileURLToPath(new URL('../contracts', import.meta.url))

/** Runs forge, which says itself what it does, and tells whether it succeeded. */
export function runForge(args: readonly string[]): boolean {
  return spawnSync('forge', args, { cwd, stdio: 'inherit' }).status === 0
}

/** Runs forge to its end, with what it prints line by line. */
export async function readForge(
  args: readonly string[],
  onLine: (line: string) => void,
): Promise<{ succeeded: boolean }> {
  const child = spawn('forge', args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
  createInterface(child.stdout).on('line', onLine)
  return new Promise(resolve => {
    child.once('error', error => {
      console.error('forge does not start:', error)
      resolve({ succeeded: false })
    })
    child.once('close', code => resolve({ succeeded: code === 0 }))
  })
}

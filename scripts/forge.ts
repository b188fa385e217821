import { spawn, spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** forge looks for its compiler from where it is started. */
const contracts = fileURLToPath(new URL('../contracts', import.meta.url))

/** The command that npm links is a script around the binary, and ends with 0 whatever becomes of that. */
function binary(): string {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  return createRequire(import.meta.url).resolve(
    `@foundry-rs/forge-${process.platform}-${architecture}/bin/forge`,
  )
}

/** Runs forge, which says itself what it does, and tells whether it succeeded. */
export function runForge(args: readonly string[]): boolean {
  return spawnSync(binary(), args, { cwd: contracts, stdio: 'inherit' }).status === 0
}

/** Runs forge to its end, with what it prints line by line. In a copy of the contracts, if `cwd` names one. */
export async function readForge(
  args: readonly string[],
  onLine: (line: string) => void,
  cwd = contracts,
): Promise<{ succeeded: boolean }> {
  const child = spawn(binary(), args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
  createInterface(child.stdout).on('line', onLine)
  return new Promise(resolve => {
    child.once('error', error => {
      console.error('forge does not start:', error)
      resolve({ succeeded: false })
    })
    child.once('close', code => resolve({ succeeded: code === 0 }))
  })
}

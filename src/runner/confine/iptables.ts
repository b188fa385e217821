import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Family } from './ranges.ts'

/** One family's filter table of this host. */
export type Iptables = {
  family: Family
  /** As iptables-save writes it. */
  save(): Promise<string>
  /** All of the lines or none take effect, and what they do not name stays. */
  restore(lines: readonly string[]): Promise<void>
}

/** For another process that has the table's lock. */
const lockSeconds = 5

/** The families that this host speaks. Where IPv6 is compiled out or off at boot there is nothing to be closed. */
export function hostFamilies(): Family[] {
  return existsSync('/proc/net/if_inet6') ? [4, 6] : [4]
}

/** @throws Error with what iptables says: it is absent, or this process may not, or the kernel cannot. */
export function createIptables(family: Family): Iptables {
  const program = family === 4 ? 'iptables' : 'ip6tables'
  return {
    family,
    save: () => run(`${program}-save`, ['-t', 'filter'], ''),
    async restore(lines) {
      const text = ['*filter', ...lines, 'COMMIT', ''].join('\n')
      await run(`${program}-restore`, ['--noflush', '--wait', String(lockSeconds)], text)
    },
  }
}

function run(program: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // The programs of an administrator are not on everybody's path.
    const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` }
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
    let output = ''
    let errors = ''
    child.stdout.setEncoding('utf8').on('data', chunk => {
      output += chunk
    })
    child.stderr.setEncoding('utf8').on('data', chunk => {
      errors += chunk
    })
    child.on('error', (cause: NodeJS.ErrnoException) =>
      reject(cause.code === 'ENOENT' ? new Error(`${program} is not installed`) : cause),
    )
    child.on('close', code => {
      if (code === 0) resolve(output)
      else reject(new Error(`${program}: ${errors.trim().split('\n')[0] || `exit ${code}`}`))
    })
    // It may end without having read all: its exit says why.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

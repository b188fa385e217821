import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { docker } from '../docker.ts'
import type { Stand } from './stand.ts'

/** Processes that have ended and that nobody has taken leave of, children of these. */
export function zombies(parents: readonly number[]): string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(pid => {
      const stat = statOf(pid)
      if (stat === null) return []
      // The name is in brackets, and may hold anything.
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return state === 'Z' && parents.includes(Number(parent)) ? [pid] : []
    })
}

function statOf(pid: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return null
  }
}

/** Names of the runner's containers: all of them, or those that run. */
export function containersOf({ scope }: Stand, more: readonly string[] = []): string[] {
  const filter = ['--filter', `label=infernet.runner=${scope}`, '--format', '{{.Names}}']
  return lines(docker(['ps', ...more, ...filter])).toSorted()
}

export function networksOf({ scope }: Stand): string[] {
  const filter = ['--filter', `label=infernet.runner=${scope}`, '--format', '{{.Name}}']
  return lines(docker(['network', 'ls', ...filter])).toSorted()
}

/** Firewall chains of the runner; none where this machine's cannot be seen. */
export function chainsOf({ scope }: Stand): string[] {
  if (process.getuid?.() !== 0) return []
  return ['iptables-save', 'ip6tables-save'].flatMap(program =>
    lines(saved(program)).filter(line => line.includes(`INFERNET-${scope}`)),
  )
}

function saved(program: string): string {
  try {
    return execFileSync(program, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return ''
  }
}

/** Files that wait in the spool, or were set aside as damaged. */
export function spooled({ spool }: Stand): string[] {
  return ['batches', 'payloads', 'streams', 'scratch', 'corrupt'].flatMap(folder => {
    const path = join(spool, folder)
    return existsSync(path) ? readdirSync(path).map(name => `${folder}/${name}`) : []
  })
}

function lines(text: string): string[] {
  return text.split('\n').filter(Boolean)
}

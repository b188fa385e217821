import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { messageOf } from '../trouble.ts'
import type { Family } from './ranges.ts'

/** A table of one family of this host. */
export type Iptables = {
  family: Family
  /**
   * `filter`: whoever is refused there is told. `floor`: the same again where nobody else sets rules, and so in silence: Docker takes its jump to
   * `DOCKER-USER` away for a moment whenever it makes a network, and whatever flushes the first table opens it.
   */
  layer: 'filter' | 'floor'
  /** As iptables-save writes it. */
  save(): Promise<string>
  /** All of the lines or none take effect, and what they do not name stays. */
  restore(lines: readonly string[]): Promise<void>
}

/** For another process that has the table's lock. */
const lockSeconds = 5
const deadlineMs = (lockSeconds + 10) * 1000
/** Of what a program says of its failure. */
const errorChars = 4096

/** The families that this host speaks. Where IPv6 is compiled out or off at boot there is nothing to be closed. */
export function hostFamilies(): Family[] {
  return existsSync('/proc/net/if_inet6') ? [4, 6] : [4]
}

/** @throws Error with what iptables says: it is absent, or this process may not, or the kernel cannot. */
export function createIptables(family: Family): Iptables {
  return { family, layer: 'filter', ...tableOf(family, 'filter') }
}

/** So long a failure of a table may be of a moment: at a boot, or a reload of a firewall, others hold its lock. */
export const patienceMs = 30_000
/** Whoever cannot look at a table so often in a row, and for so long, has none, whatever it says: each container that is placed looks. */
const maxUnsure = 3

/**
 * `security` comes after `filter`. Some kernels are built without it; `mangle` comes before, and so there a refusal is always silent. What may
 * pass says nothing of the kernel: an earlier process may have its rules in the one, which nobody would take away there any more. `now`:
 * as of the firewall.
 */
export function createFloor(family: Family, now = () => performance.now()): Iptables {
  const [security, mangle] = [tableOf(family, 'security'), tableOf(family, 'mangle')]
  let table: typeof security | null = null
  let unsure = 0
  let unsureSince = 0

  async function found(): Promise<typeof security> {
    if (table !== null) return table
    try {
      await security.save()
      table = security
    } catch (error) {
      if (unsure === 0) unsureSince = now()
      unsure += 1
      const isSure = unsure >= maxUnsure && now() - unsureSince >= patienceMs
      if (mayPass(messageOf(error)) && !isSure) throw error
      table = mangle
    }
    return table
  }

  return {
    family,
    layer: 'floor',
    save: async () => await (await found()).save(),
    restore: async lines => await (await found()).restore(lines),
  }
}

/**
 * Of what iptables says: that it is absent, that this process may not, or that the kernel cannot. All else may be over in a moment, such as a
 * lock that somebody else holds.
 */
const lasting =
  /is not installed|spawn \S+ E(ACCES|PERM)|Permission denied|not permitted|Read-only file system|Table .*does not exist|do you need to insmod|not supported/

/** What comes before it: what modprobe says, which iptables calls, a warning, and a name with nothing behind it. */
const aside = /^modprobe: |^#|:$/

/** Whether a table that has failed may take rules when it is tried again, by what it said. */
export function mayPass(failure: string): boolean {
  return !lasting.test(failure)
}

/** Of all that a program says the line that says most: that it never will, or the first that is no aside. */
function tellingOf(errors: string): string | undefined {
  const lines = errors.split('\n').flatMap(line => line.trim() || [])
  const own = lines.filter(line => !aside.test(line))
  return own.find(line => lasting.test(line)) ?? own[0] ?? lines[0]
}

function tableOf(family: Family, table: string): Pick<Iptables, 'save' | 'restore'> {
  const program = family === 4 ? 'iptables' : 'ip6tables'
  return {
    save: () => run(`${program}-save`, ['-t', table], ''),
    async restore(lines) {
      const text = [`*${table}`, ...lines, 'COMMIT', ''].join('\n')
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
      errors = (errors + chunk).slice(0, errorChars)
    })
    // One that hangs would hold up all rules, and nobody would be told.
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${program} does not end`))
    }, deadlineMs)
    child.on('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      reject(cause.code === 'ENOENT' ? new Error(`${program} is not installed`) : cause)
    })
    child.on('close', code => {
      clearTimeout(timer)
      if (code === 0) resolve(output)
      else reject(new Error(`${program}: ${tellingOf(errors) ?? `exit ${code}`}`))
    })
    // It may end without having read all: its exit says why.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

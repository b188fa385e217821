import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tether } from '../../src/local/child.ts'
import { docker } from './docker.ts'
import { eventually } from './setup.ts'

const programs = ['dockerd', 'ip'].map(name =>
  ['/usr/bin', '/usr/sbin', '/sbin', '/bin']
    .map(folder => `${folder}/${name}`)
    .find(path => existsSync(path)),
)
const [dockerd = '', ip = ''] = programs

/** For root, on a machine with the programs. Others skip tests, but not CI, which has all of it. */
export const canStartEngines = process.getuid?.() === 0 && dockerd !== '' && ip !== ''
const wanted = 'they want root, dockerd and iproute2'
if (!canStartEngines && process.env.CI === 'true') throw new Error(`No engine can be started: ${wanted}`)
if (!canStartEngines) console.log(`Tests with an engine of their own are skipped: ${wanted}`)

export type OwnEngine = Awaited<ReturnType<typeof createOwnEngine>>

/** For roots that are busy to be so no longer. */
const busyMs = 5_000

/** An engine beside the machine's own, with nothing of it in common, so that a test can end it. `more`: options of the engine. */
export async function createOwnEngine(more: readonly string[] = []) {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-engine-'))
  const host = `unix://${directory}/docker.sock`
  const bridge = `ife${randomBytes(4).toString('hex')}`
  execFileSync(ip, ['link', 'add', bridge, 'type', 'bridge'])
  execFileSync(ip, ['addr', 'add', `172.30.${process.pid % 250}.1/24`, 'dev', bridge])
  execFileSync(ip, ['link', 'set', bridge, 'up'])
  let end = async (_: 'SIGTERM' | 'SIGKILL') => {}

  function answers(): boolean {
    try {
      return docker(['version', '--format', '{{.Server.Version}}'], host) !== ''
    } catch {
      return false
    }
  }

  /**
   * Its containerd dies with it, and is in the table of processes until init has seen that: a second or two. An engine that starts meanwhile
   * takes it for one that runs, waits for it, and ends.
   */
  function isAlone(): boolean {
    const file = join(directory, 'exec-root', 'containerd', 'containerd.pid')
    return !existsSync(file) || !existsSync(`/proc/${readFileSync(file, 'utf8').trim()}`)
  }

  /** Begins, and resolves when it answers. */
  async function start(): Promise<void> {
    const paths = ['data-root', 'exec-root'].flatMap(name => [`--${name}`, join(directory, name)])
    const rest = [
      '--pidfile',
      join(directory, 'pid'),
      '-H',
      host,
      '--bridge',
      bridge,
      '--iptables=false',
      ...more,
    ]
    const child = spawn(dockerd, [...paths, ...rest], { stdio: 'ignore' })
    const ended = once(child, 'exit')
    if (child.pid !== undefined) tether(child.pid, { ended, graceSeconds: 5 })
    end = async signal => {
      child.kill(signal)
      await ended
      await eventually(isAlone)
    }
    await eventually(() => answers() || child.exitCode !== null)
    if (child.exitCode !== null)
      throw new Error(`dockerd has ended with ${child.exitCode}, and never answered`)
  }

  /** Its containers, and its networks: their bridges are this machine's, and would outlive it. */
  async function clear(): Promise<void> {
    // What a killed one has left is known to its successor alone.
    if (!answers()) await start()
    const all = (...args: string[]) => docker(args, host).split('\n').filter(Boolean)
    // A container's root is busy where another engine has begun something meanwhile: it has that among its mounts. Its process has ended by
    // then, and all else goes with the directory.
    const until = performance.now() + busyMs
    await eventually(() => {
      try {
        const ids = all('ps', '-aq')
        if (ids.length > 0) docker(['rm', '-f', ...ids], host)
        return true
      } catch {
        return performance.now() > until
      }
    })
    const networks = all('network', 'ls', '-q', '--filter', 'type=custom')
    if (networks.length > 0) docker(['network', 'rm', ...networks], host)
  }

  async function takeAway(): Promise<void> {
    execFileSync(ip, ['link', 'del', bridge])
    // Of a network namespace, which it leaves mounted.
    const mounts = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .map(line => line.split(' ')[1] ?? '')
    for (const path of mounts.filter(mount => mount.startsWith(`${directory}/`)).toReversed())
      spawnSync('umount', ['-l', path])
    await rm(directory, { recursive: true, force: true })
  }

  return {
    host,
    start,
    /** Tells it to end, and waits for that; containers that run are stopped by it. */
    end: () => end('SIGTERM'),
    /** As a host that is out of memory does: its containers run on, cut off from their ports, until it is started again. */
    kill: () => end('SIGKILL'),
    /** Ends it with all that it has. What it does not let go of is told when all else has gone. */
    async close() {
      const failures: unknown[] = []
      for (const step of [clear, () => end('SIGTERM'), takeAway])
        await step().catch(error => failures.push(error))
      if (failures.length > 0) throw failures[0]
    },
  }
}

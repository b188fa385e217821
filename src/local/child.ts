import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'

/** A program of the local stack. It ends with this process, however this process ends. */
export type Child = {
  process: ChildProcess
  /** Resolves when it has ended. */
  ended: Promise<{ code: number | null }>
  /** SIGTERM, and SIGKILL when it is still there `graceMs` later; absent: never. */
  close(graceMs?: number): Promise<void>
}

export type ChildOptions = {
  command: string
  args: readonly string[]
  stdio: SpawnOptions['stdio']
  /** Absent: this process's own. */
  env?: Record<string, string>
  /** What it has to end in when this process is gone. 0: it is killed at once. */
  orphanGraceSeconds: number
}

/** A process group of its own: Ctrl-C is for this process alone, which then ends the others in their order. */
export function startChild({ command, args, stdio, env, orphanGraceSeconds }: ChildOptions): Child {
  const child = spawn(command, args, { stdio: stdio ?? 'pipe', env: env ?? process.env, detached: true })
  const ended = once(child, 'exit').then(([code]) => ({ code: typeof code === 'number' ? code : null }))
  if (child.pid !== undefined) tether(child.pid, { ended, graceSeconds: orphanGraceSeconds })
  return {
    process: child,
    ended,
    async close(graceMs) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      const forced = graceMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), graceMs)
      await ended
      clearTimeout(forced)
    },
  }
}

/**
 * A killed process cannot end its children, but its end of every pipe closes: a shell waits for that, and ends them. It works for
 * programs that are not ours, and leaves them direct children, whose id is what it seems.
 */
export function tether(
  pid: number,
  { ended, graceSeconds }: { ended: Promise<unknown>; graceSeconds: number },
): void {
  const kill = `kill -KILL ${pid}`
  const end = graceSeconds === 0 ? kill : `kill -TERM ${pid} && sleep ${graceSeconds} && ${kill}`
  const watcher = spawn('/bin/sh', ['-c', `read -r _; ${end}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watcher.unref()
  // Without a shell, children outlive a killed parent, and nothing else is lost.
  watcher.once('error', () => {})
  const forget = () => watcher.kill('SIGKILL')
  ended.then(forget, forget)
}

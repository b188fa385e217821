import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export type Child = { pid: number; firstLine: string; close(): Promise<void> }

/** Starts one of our programs and waits for the line that says that it is ready. */
export async function startProcess(
  args: readonly string[],
  env: Record<string, string> = {},
  ready: RegExp = /./,
): Promise<Child> {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  const exited = once(child, 'exit')
  // A bench that fails half way, or is ended by a signal, leaves nobody behind.
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  void exited.then(() => process.off('exit', kill))
  const tail: string[] = []
  const firstLine = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on('line', line => {
        tail.push(line)
        if (tail.length > 20) tail.shift()
        if (ready.test(line)) resolve(line)
      })
    }
    void exited.then(([code]) =>
      reject(new Error(`${args.join(' ')} ended with code ${code}:\n${tail.join('\n')}`)),
    )
  })
  return {
    pid: child.pid ?? 0,
    firstLine,
    async close() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await exited
    },
  }
}

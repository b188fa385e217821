import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { leanHeap } from '../../src/host/lean-heap.ts'
import { tether } from '../../src/local/child.ts'
import { inherited } from '../support/inherited.ts'

const main = fileURLToPath(new URL('../../src/runner/main.ts', import.meta.url))

export type Spawned = {
  child: ChildProcess
  output: () => string
  exited: Promise<{ code: number | null; signal: string | null }>
  /** Resolves when the output contains the text. */
  said(text: string): Promise<void>
}

/** A program of ours as a process, which does not outlive a test run that is killed, even where it is stopped. */
export function spawnMain(
  args: string[],
  env: Record<string, string> = {},
  script = main,
  as: Pick<SpawnOptions, 'uid' | 'gid'> = {},
): Spawned {
  const { HOME = '' } = process.env
  const child = spawn(process.execPath, [leanHeap, script, ...args], {
    ...as,
    env: { ...inherited(), HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  let output = ''
  const heard = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', chunk => {
      output += chunk
      for (const wake of heard) wake()
    })
  const exited = new Promise<{ code: number | null; signal: string | null }>(resolve =>
    child.on('close', (code, signal) => resolve({ code, signal })),
  )
  if (child.pid !== undefined) tether(child.pid, { ended: exited, graceSeconds: 0 })
  return {
    child,
    output: () => output,
    exited,
    said: text =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!output.includes(text)) return
          heard.delete(look)
          resolve()
        }
        heard.add(look)
        look()
        void exited.then(() => reject(new Error(`The process ended without saying "${text}":\n${output}`)))
      }),
  }
}

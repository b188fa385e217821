import type { Spawned } from '../runner/spawn.ts'

/** A part of the system that is one process, and can be killed as a host's crash would. */
export type Part = {
  /** Resolves when the process is gone. */
  kill(): Promise<void>
  /** SIGSTOP: it keeps its sockets but does nothing any more. */
  stop(): void
  /** SIGCONT. */
  resume(): void
  /** On the same port, and for the database on the same file. */
  start(): Promise<void>
}

/** Sends SIGKILL, and waits until the process is gone. */
export async function killed({ child, exited }: Spawned): Promise<void> {
  child.kill('SIGKILL')
  await exited
}

export function createPart(start: () => Promise<Spawned>): Part {
  let spawned: Spawned | null = null
  return {
    async kill() {
      if (spawned) await killed(spawned)
    },
    stop: () => void spawned?.child.kill('SIGSTOP'),
    resume: () => void spawned?.child.kill('SIGCONT'),
    async start() {
      spawned = await start()
    },
  }
}

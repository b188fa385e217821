import { existsSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { leanHeap } from '../host/lean-heap.ts'
import { generateKey } from '../runner/key/generate.ts'
import { loadKey } from '../runner/key/load.ts'
import { startChild } from './child.ts'
import type { LocalContainer } from './containers/prepare.ts'
import type { Home } from './home.ts'

const main = fileURLToPath(new URL('../runner/main.ts', import.meta.url))

export type LocalRunner = {
  pid: number
  /** Resolves when the process has ended, with its exit code. */
  ended: Promise<number | null>
  /** Asks it to drain, and waits for its end. */
  close(): Promise<void>
}

export type LocalRunnerOptions = {
  home: Home
  edgeUrl: string
  containers: readonly LocalContainer[]
  log(line: string): void
}

/** The public key of this machine's runner, base64url; makes the key on first use. */
export async function runnerPublicKey({ keyFile }: Home): Promise<string> {
  const key = existsSync(keyFile) ? await loadKey(keyFile) : await generateKey(keyFile)
  return key.publicKey
}

/** The runner as operators start it: a process of its own, with a `config.json`. */
export function startRunner({ home, edgeUrl, containers, log }: LocalRunnerOptions): LocalRunner {
  writeFileSync(
    home.runnerConfig,
    `${JSON.stringify(runnerConfig({ home, edgeUrl, containers }), null, 2)}\n`,
  )
  const child = startChild({
    command: process.execPath,
    args: [leanHeap, main, 'run', '--config', home.runnerConfig],
    stdio: ['ignore', 'pipe', 'pipe'],
    // For its containers to be stopped; results wait in the spool.
    orphanGraceSeconds: 3,
  })
  const { stdout, stderr, pid } = child.process
  for (const stream of [stdout, stderr]) if (stream) createInterface(stream).on('line', log)
  return {
    pid: pid ?? 0,
    ended: child.ended.then(({ code }) => code),
    // Its drain has a deadline of its own.
    close: () => child.close(),
  }
}

function runnerConfig({ home, edgeUrl, containers }: Omit<LocalRunnerOptions, 'log'>) {
  return {
    edge: { url: edgeUrl, key_file: home.keyFile },
    manage_containers: containers.some(container => container.kind === 'image'),
    slots: 4,
    // Any free port: `status` finds it, and a second stack on this machine is not told of the first.
    listen: '127.0.0.1:0',
    containers: containers.map(container => ({
      id: container.id,
      description: container.description,
      openai: container.openai,
      accepted_payments: container.acceptedPayments,
      generates_proofs: container.proves,
      image: container.kind === 'image' ? container.image : container.id,
      ...(container.kind === 'process' ? { url: container.url } : {}),
    })),
  }
}

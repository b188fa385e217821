import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { generateKey } from '../runner/key/generate.ts'
import { loadKey } from '../runner/key/load.ts'
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
  const child = spawn(process.execPath, [main, 'run', '--config', home.runnerConfig], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', log)
  const ended = once(child, 'exit').then(([code]) => (typeof code === 'number' ? code : null))
  return {
    pid: child.pid ?? 0,
    ended,
    async close() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await ended
    },
  }
}

function runnerConfig({ home, edgeUrl, containers }: Omit<LocalRunnerOptions, 'log'>) {
  return {
    edge: { url: edgeUrl, key_file: home.keyFile },
    manage_containers: containers.some(container => container.kind === 'image'),
    slots: 4,
    containers: containers.map(container => ({
      id: container.id,
      description: container.description,
      image: container.kind === 'image' ? container.image : container.id,
      ...(container.kind === 'process' ? { url: container.url } : {}),
    })),
  }
}

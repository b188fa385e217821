import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { request } from 'undici'
import { freePort } from '../port.ts'
import type { Example } from './examples.ts'

export type ContainerProcess = { url: string; pid: number; close(): Promise<void> }

const readyTimeoutMs = 60_000
const pollMs = 25
const stopTimeoutMs = 2000

/** Starts an example as a plain process on a free loopback port and waits until it is healthy. */
export async function startProcess(
  example: Example,
  log: (line: string) => void,
  env: Record<string, string> = {},
): Promise<ContainerProcess> {
  const { folder, weights } = example
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const tether = new URL('tether.ts', import.meta.url).href
  const child = spawn(process.execPath, ['--import', tether, 'server.js'], {
    cwd: folder,
    // Nothing else of this process's environment: it may hold keys, which are none of a container's business.
    env: {
      PATH: process.env.PATH,
      PORT: String(port),
      HOST: '127.0.0.1',
      NODE_ENV: 'production',
      ...(weights && { MODEL_PATH: weights.path, MODEL_NAME: weights.name }),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  for (const stream of [child.stdout, child.stderr]) if (stream) forward(stream, log)
  let closing = false
  const close = () => {
    closing = true
    return stop(child)
  }
  try {
    await untilHealthy(child, url)
  } catch (cause) {
    await close()
    throw new Error(`starting ${example.id} as a process`, { cause })
  }
  child.once('exit', (code, signal) => {
    if (!closing) log(`${example.id}: its process ended (${signal ?? `exit code ${code}`})`)
  })
  return { url, pid: child.pid ?? 0, close }
}

function forward(stream: Readable, log: (line: string) => void): void {
  createInterface({ input: stream }).on('line', log)
}

async function untilHealthy(child: ChildProcess, url: string): Promise<void> {
  let failure: Error | undefined
  child.once('error', error => {
    failure = error
  })
  const deadline = performance.now() + readyTimeoutMs
  while (!(await isHealthy(url))) {
    if (failure) throw failure
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('it ended at once')
    if (performance.now() > deadline) throw new Error(`it was not healthy after ${readyTimeoutMs} ms`)
    await delay(pollMs)
  }
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const { statusCode, body } = await request(`${url}/health`)
    await body.dump()
    return statusCode === 200
  } catch {
    // Refused until the process listens.
    return false
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const forced = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
  await exited
  clearTimeout(forced)
}

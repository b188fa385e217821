import { type ChildProcess, spawn } from 'node:child_process'
import type { Gpu } from '../../protocol/host.ts'
import { messageOf } from '../trouble.ts'
import { columns, parseGpus } from './parse.ts'

/**
 * `absent`: there is no such program, and so, as far as can be told, no GPU. `hidden`: nobody can look from here, which says nothing of
 * what there is. `failed`: there is a program, and it does not tell.
 */
export type Sight =
  | { kind: 'seen'; gpus: Gpu[] }
  | { kind: 'absent' }
  | { kind: 'hidden' }
  | { kind: 'failed'; error: string }

export type Query = () => Promise<Sight>

/** Without persistence mode the driver is loaded for each question, which takes seconds on a host of eight. */
const withinMs = 15_000
const maxChars = 64 * 1024

/**
 * Asks `nvidia-smi`. A GPU that has fallen off the bus can leave it in the kernel, where no signal reaches it: it is given up after its
 * time, and no other one is started before it has ended.
 */
export function createQuery({ answerMs = withinMs }: { answerMs?: number } = {}): Query {
  let stuck: ChildProcess | null = null

  return async () => {
    if (stuck !== null) return { kind: 'failed', error: 'nvidia-smi hangs, and cannot be ended' }
    const child = spawn('nvidia-smi', [`--query-gpu=${columns.join(',')}`, '--format=csv,noheader,nounits'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    })
    stuck = child
    child.once('exit', () => {
      stuck = null
    })
    return await sightOf(child, answerMs).finally(() => {
      // One that was never started does not exit.
      if (child.pid === undefined) stuck = null
    })
  }
}

function sightOf(child: ChildProcess, answerMs: number): Promise<Sight> {
  const said = { out: '', error: '' }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    if (said.out.length < maxChars) said.out += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (said.error.length < maxChars) said.error += text
  })
  return new Promise(resolve => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      // Else a child that does not die would keep this process from ending.
      child.stdout?.destroy()
      child.stderr?.destroy()
      child.unref()
      resolve({ kind: 'failed', error: `nvidia-smi has not answered within ${answerMs / 1000} s` })
    }, answerMs)
    const settle = (sight: Sight) => {
      clearTimeout(timer)
      resolve(sight)
    }
    child.once('error', (error: NodeJS.ErrnoException) =>
      settle(error.code === 'ENOENT' ? { kind: 'absent' } : { kind: 'failed', error: messageOf(error) }),
    )
    child.once('close', code => settle(read(code, said)))
  })
}

function read(code: number | null, { out, error }: { out: string; error: string }): Sight {
  const isEmpty = /^No devices were found/m.test(out)
  if (code !== 0 && !isEmpty) {
    // What is wrong stands on either, and of some drivers beside the GPUs that are left.
    const words = `${error} ${out}`.replace(/\s+/g, ' ').trim().slice(0, 300)
    return { kind: 'failed', error: `nvidia-smi has ended with ${code ?? 'a signal'}: ${words}` }
  }
  try {
    return { kind: 'seen', gpus: parseGpus(out) }
  } catch (cause) {
    return { kind: 'failed', error: messageOf(cause) }
  }
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { startChild } from '../../src/local/child.ts'

const module = fileURLToPath(new URL('../../src/local/child.ts', import.meta.url))
/** A program that does not end when it is asked to. */
const stubborn = { command: '/bin/sh', args: ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.1; done'] }

/** A process that starts the program, and no more. */
async function startParent(options: { orphanGraceSeconds: number }) {
  const code = `
    import { startChild } from ${JSON.stringify(module)}
    const child = startChild(${JSON.stringify({ ...stubborn, stdio: ['ignore', 'pipe', 'ignore'], ...options })})
    child.process.stdout.once('data', () => console.log(child.process.pid))`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(createInterface(parent.stdout), 'line')
  return { parent, pid: Number(line) }
}

/** An orphan that has ended may stay as a zombie, where nobody collects it. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

for (const orphanGraceSeconds of [0, 1]) {
  test(`default: it ends with a parent that is killed, given ${orphanGraceSeconds} s`, async () => {
    const { parent, pid } = await startParent({ orphanGraceSeconds })
    expect(isRunning(pid)).toBe(true)
    parent.kill('SIGKILL')
    await expect.poll(() => isRunning(pid), { timeout: 5_000 }).toBe(false)
  })
}

test('behavior: a parent that ends by itself takes it along', async () => {
  const { parent, pid } = await startParent({ orphanGraceSeconds: 0 })
  parent.kill('SIGTERM')
  await expect.poll(() => isRunning(pid), { timeout: 5_000 }).toBe(false)
})

test('behavior: closing does not wait for longer than it is told to', async () => {
  const child = startChild({ ...stubborn, stdio: ['ignore', 'pipe', 'ignore'], orphanGraceSeconds: 0 })
  await once(child.process.stdout!, 'data')
  await child.close(50)
  expect(child.process.signalCode).toBe('SIGKILL')
  expect(await child.ended).toEqual({ code: null })
})

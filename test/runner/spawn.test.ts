import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const module = fileURLToPath(new URL('./spawn.ts', import.meta.url))
const container = fileURLToPath(new URL('../flows/container-main.ts', import.meta.url))
const server = fileURLToPath(new URL('../../src/local/libsql/main.ts', import.meta.url))

/** A test run that has started a program, and can be killed. */
async function startRun(script: string, args: string[]) {
  const code = `
    import { spawnMain } from ${JSON.stringify(module)}
    console.log(spawnMain(${JSON.stringify(args)}, {}, ${JSON.stringify(script)}).child.pid)
    setInterval(() => {}, 60_000)`
  const run = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void run.kill('SIGKILL'))
  const [line] = await once(createInterface(run.stdout), 'line')
  return { run, pid: Number(line) }
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

test.for([
  ['a server', server, ['--path', ':memory:', '--port', '0'], false],
  ['a container', container, ['0'], false],
  ['a program that is stopped', server, ['--path', ':memory:', '--port', '0'], true],
] as const)(
  'behavior: %s does not outlive a test run that is killed',
  async ([, script, args, isStopped]) => {
    const { run, pid } = await startRun(script, [...args])
    onTestFinished(() => {
      if (isRunning(pid)) process.kill(pid, 'SIGKILL')
    })
    if (isStopped) process.kill(pid, 'SIGSTOP')
    expect(isRunning(pid)).toBe(true)
    run.kill('SIGKILL')
    await expect.poll(() => isRunning(pid), { timeout: 5_000 }).toBe(false)
  },
)

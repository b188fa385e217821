import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import { spawnMain } from '../runner/spawn.ts'

const pathOf = (file: string) => fileURLToPath(new URL(file, import.meta.url))

test('behavior: nobody reads its output any more, and it serves on and ends as told', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'infernet-log-'))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const env = {
    ORIGIN: url,
    DATABASE_URL: `file:${join(folder, 'edge.db')}`,
    NODE_OPTIONS: `--import ${pathOf('./chatter.ts')}`,
  }
  const server = spawnMain(['--port', String(port), '--migrate'], env, pathOf('../../src/host/main.ts'))
  onTestFinished(async () => {
    server.child.kill('SIGKILL')
    await server.exited
    rmSync(folder, { recursive: true })
  })
  await server.said('Edge listens')
  server.child.stdout?.destroy()
  server.child.stderr?.destroy()
  const told = new Promise(resolve => server.child.once('message', resolve))
  server.child.send('chatter')
  await Promise.race([told, server.exited])
  expect((await fetch(`${url}/health`)).status).toBe(200)
  server.child.kill('SIGTERM')
  expect(await server.exited).toEqual({ code: 0, signal: null })
})

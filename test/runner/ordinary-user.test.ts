import { readFileSync, statSync } from 'node:fs'
import { chown, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import type { Config } from '../../src/runner/config/config.ts'
import { scopeOf } from '../../src/runner/docker/scope.ts'
import { buildImage, docker, reachable, removeContainers } from './docker.ts'
import { setup } from './setup.ts'

/** `nobody`, in the group of Docker's socket: may start containers, and may not change the host's network. */
const uid = 65_534
const socket = '/var/run/docker.sock'
const image = `infernet-runner-ordinary:${process.pid}`
const program = readFileSync(fileURLToPath(new URL('./program.js', import.meta.url)), 'utf8')
const scopes = new Set<string>()
const canBecome = process.getuid?.() === 0 && process.platform === 'linux'

describe.skipIf(!reachable || !canBecome)('a runner of an ordinary user', () => {
  beforeAll(() => buildImage(image, program))
  afterAll(async () => {
    await removeContainers(scopes)
    docker(['rmi', '-f', image])
  })

  async function start() {
    const world = await setup()
    const { directory } = world
    for (const path of [directory, ...(await readdir(directory)).map(name => join(directory, name))])
      await chown(path, uid, uid)
    scopes.add(scopeOf({ spool: { directory: join(directory, '.infernet-runner') } } as Config))
    const all = {
      manage_containers: true,
      containers: [{ id: 'one', image, port: await freePort(), env: { SAY: 'hi' } }],
    }
    const as = { uid, gid: statSync(socket).gid }
    return { ...world, spawn: (args: string[]) => world.spawn(all, { args, as }) }
  }

  const what = `egress "public" is not kept: the runner (its user is ${uid}) may not set firewall rules`

  test('default: doctor fails for what it does not keep, and says what to do', async () => {
    const { spawn } = await start()
    const { exited, output } = await spawn(['doctor'])
    expect((await exited).code).toBe(1)
    const isolation = output()
      .split('\n')
      .filter(line => /^\S+ +isolation /.test(line))
    expect(isolation).toEqual([
      `FAIL  isolation    one: ${what}. Fix: run it as root or with CAP_NET_ADMIN, or set egress to "open".`,
    ])
    expect(output()).toMatch(/^ok +docker +engine \S+ answers$/m)
  })

  test('default: it says so as it starts, and works', async () => {
    const { spawn, edge } = await start()
    const { child, said, exited } = await spawn(['run'])
    await said(what.replaceAll('"', '\\"'))
    const { id } = edge.enqueue({ containers: ['one'], data: '{}' })
    expect(JSON.parse((await edge.reported(id)).resultText)).toMatchObject({ output: { said: 'hi' } })
    child.kill('SIGTERM')
    expect((await exited).code).toBe(0)
  })
})

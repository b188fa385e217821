import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../src/runner/docker/free-port.ts'
import { buildImage, reachable } from './docker.ts'
import { canStartEngines, createOwnEngine } from './own-engine.ts'
import { echo } from './serve.ts'
import { eventually, setup } from './setup.ts'

const program = readFileSync(fileURLToPath(new URL('./program.js', import.meta.url)), 'utf8')
const image = 'infernet-runner-restart'

describe.skipIf(!reachable || !canStartEngines)('an engine that ends', { timeout: 90_000 }, () => {
  /** A runner with a container of an engine of its own, and one that runs elsewhere and takes its time. */
  async function run() {
    const engine = await createOwnEngine()
    onTestFinished(() => engine.close())
    await engine.start()
    await buildImage(image, program, engine.host)
    const { edge, embed, container, logged } = await setup()
    const elsewhere = await container(({ body }, response) => {
      if (body.includes('"slow"')) setTimeout(() => echo({ body } as never, response), 6_000)
      else echo({ body } as never, response)
    })
    const runner = await embed(
      {
        manage_containers: true,
        containers: [
          { id: 'one', image, port: await freePort(), slots: 2, env: { SAY: 'hi' } },
          { id: 'elsewhere', url: elsewhere.url, slots: 2 },
        ],
      },
      { dockerHost: engine.host },
    )
    await runner.ready
    const result = async (id: string) => JSON.parse((await edge.reported(id)).resultText)
    const health = () => edge.health().find(({ id }) => id === 'one')
    return { engine, edge, runner, logged, result, health }
  }

  test('behavior: the runner and what runs elsewhere go on, and containers are back with the engine', async () => {
    const { engine, edge, runner, logged, result, health } = await run()
    const endless = edge.enqueue({ containers: ['one'], data: '{"do":"never"}' })
    const other = edge.enqueue({ containers: ['elsewhere'], data: '"slow"' })
    await eventually(() => edge.jobs.get(endless.id)?.started && edge.jobs.get(other.id)?.started)
    await engine.end()
    // It stops its containers before it ends, and says so.
    expect((await result(endless.id)).code).toBe('exited')
    await eventually(() => health()?.health !== 'ready')
    const meanwhile = edge.enqueue({ containers: ['one'], data: '{}' })
    await engine.start()
    expect(await result(meanwhile.id)).toMatchObject({ container: 'one', output: { said: 'hi' } })
    expect(await result(other.id)).toEqual({ container: 'elsewhere', output: 'slow' })
    expect(logged.filter(({ level }) => level === 'error')).toEqual([])
    await runner.stop()
  })

  test('behavior: it is killed in the middle of a job: that one is told, others go on, and containers are back with it', async () => {
    const { engine, edge, runner, logged, result, health } = await run()
    const endless = edge.enqueue({ containers: ['one'], data: '{"do":"never"}' })
    const other = edge.enqueue({ containers: ['elsewhere'], data: '"slow"' })
    await eventually(() => edge.jobs.get(endless.id)?.started && edge.jobs.get(other.id)?.started)
    await engine.kill()
    // The container runs on, and nobody is there to say so, or to lead to its port.
    expect(await result(endless.id)).toMatchObject({ container: 'one', code: 'connection_lost' })
    await eventually(() => health()?.health !== 'ready')
    const meanwhile = edge.enqueue({ containers: ['one'], data: '{}' })
    expect(await result(other.id)).toEqual({ container: 'elsewhere', output: 'slow' })
    await engine.start()
    expect(await result(meanwhile.id)).toMatchObject({ container: 'one', output: { said: 'hi' } })
    expect(logged.filter(({ level }) => level === 'error')).toEqual([])
    await runner.stop()
  })
})

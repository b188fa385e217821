import { execFileSync } from 'node:child_process'
import { describe, expect, test, vi } from 'vitest'
import { parseConfig } from '../../src/runner/config/load.ts'
import { mayChangeNetwork } from '../../src/runner/confine/capability.ts'
import { freePort } from '../../src/runner/docker/free-port.ts'
import { sleep } from '../../src/runner/sleep.ts'
import { startFakeEngine } from './fake-engine.ts'
import { keepFleet } from './kept.ts'
import { eventually, setup } from './setup.ts'

/** Two containers, for an engine that does what it is told to. */
async function start() {
  const engine = await startFakeEngine()
  const kit = await setup()
  const containers = await Promise.all(
    ['one', 'two'].map(async id => ({ id, image: 'i', egress: 'none', port: await freePort() })),
  )
  return { ...kit, engine, containers }
}

describe('the end while containers start', { timeout: 40_000 }, () => {
  test('default: what the engine is starting is waited for and stopped, and nothing is started after', async () => {
    const { engine, embed, containers } = await start()
    let isEnding = false
    const order: string[] = []
    engine.state.before = async ({ path }) => {
      // One is about to be made, the other one about to run.
      if (/create\?name=.*-two$/.test(path)) await eventually(() => isEnding)
      if (path.endsWith('/start')) await sleep(1_000)
      if (/start$|stop/.test(path)) order.push(path.replace(/^.*\/(start|stop).*$/, '$1'))
    }
    const runner = await embed({ manage_containers: true, containers }, { dockerHost: engine.dockerHost })
    await eventually(() => engine.asked('/start').length === 1 && engine.asked('-two').length > 1)
    isEnding = true
    await runner.stop()
    expect(order).toEqual(['start', 'stop', 'stop'])
    expect(engine.running()).toEqual([])
  })

  test.skipIf(!mayChangeNetwork())(
    'behavior: one whose start hangs holds up no end, and keeps its rules',
    async () => {
      const { engine, directory, containers } = await start()
      vi.stubEnv('DOCKER_HOST', engine.dockerHost)
      const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, containers })
      const { config } = parseConfig(source, { path: `${directory}/config.json`, env: {} })
      engine.state.hangs = ({ path }) => path.endsWith('/start')
      const { scope, logged, end } = await keepFleet(config, { hasInterface: async () => true })
      vi.unstubAllEnvs()
      await eventually(() => engine.asked('/start').length === 2)
      await end()
      expect(execFileSync('iptables-save', { encoding: 'utf8' })).toContain(`INFERNET-${scope}`)
      expect(logged).toContainEqual(expect.objectContaining({ event: 'The firewall rules stay' }))
    },
  )
})

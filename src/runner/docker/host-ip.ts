import * as v from 'valibot'
import type { Engine } from './engine.ts'
import { askEngine } from './json.ts'

const Bridge = v.object({
  IPAM: v.object({
    Config: v.array(v.object({ Subnet: v.optional(v.string()), Gateway: v.optional(v.string()) })),
  }),
})

/**
 * The host address that ports are published on: loopback, so that nobody outside can call a container past the queue. A runner
 * that is itself in a container reaches the host through the bridge's gateway instead, which other machines do not route to.
 */
export async function hostIp(engine: Engine, inDocker: boolean): Promise<string> {
  if (!inDocker) return '127.0.0.1'
  const { IPAM } = await askEngine(engine, { method: 'GET', path: '/networks/bridge' }, Bridge)
  const [{ Gateway, Subnet } = {}] = IPAM.Config
  return Gateway ?? (Subnet === undefined ? '127.0.0.1' : firstOf(Subnet))
}

/** An engine that has just made its bridge does not tell the gateway until it is started again. */
function firstOf(subnet: string): string {
  return subnet.replace(/\d+\/\d+$/, '1')
}

import { checkChain } from '../check.ts'
import { createRouteFinder } from '../containers.ts'
import { watchNodeWallet } from '../node-wallet.ts'
import { RpcUnavailable } from '../rpc.ts'
import { type TickContext, tickOptionsOf } from '../tick/wiring.ts'
import { createNoteHead, type Door } from './door.ts'

/** The door of a chain; null: the node does not serve it. Throws RpcUnavailable while the chain is not what is configured, or silent. */
export type Doors = (chain: number) => Promise<Door | null>

/** Each chain is checked once, when it is first asked for; what fails is tried again. */
export function createDoors(context: TickContext): Doors {
  const doors = new Map<number, Promise<Door | null>>()
  return async chain => {
    const known = doors.get(chain)
    if (known) return await known
    const door = open(context, chain)
    doors.set(chain, door)
    // Nobody may have waited for it.
    door.catch(() => doors.delete(chain))
    return await door
  }
}

async function open(context: TickContext, id: number): Promise<Door | null> {
  const options = tickOptionsOf(context, id)
  if (options === null) return null
  const checked = await checkChain(options.chain)
  if ('problem' in checked) throw new RpcUnavailable(checked.problem)
  const { contracts } = checked
  const wallet = watchNodeWallet({ ...options, contracts })
  return {
    ...options,
    contracts,
    wallet,
    routes: createRouteFinder(),
    noteHead: createNoteHead(options.chain),
  }
}

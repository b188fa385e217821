import type { Refusal } from '../../protocol/error.ts'
import type { Context as App } from '../context.ts'

/** The chain that a request is about: the one that it names, or the only one. Otherwise why it is refused. */
export function chainOf({ config }: App, asked: number | undefined): number | Refusal {
  const chains = config.chains.map(chain => chain.config.id)
  const [only] = chains
  if (only === undefined || (asked !== undefined && !chains.includes(asked)))
    return { code: 'chain_not_enabled', error: 'Chain not enabled', params: { chain: asked ?? null } }
  if (asked === undefined && chains.length > 1)
    return {
      code: 'invalid_request',
      error: 'This node serves several chains: say which',
      params: { chains },
    }
  return asked ?? only
}

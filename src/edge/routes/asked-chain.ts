import * as v from 'valibot'
import type { Refusal } from '../../protocol/error.ts'
import type { Context as App } from '../context.ts'

/** A number in a path, or a query. */
export const whole = (digits: number) =>
  v.pipe(v.string(), v.regex(new RegExp(`^\\d{1,${digits}}$`), 'must be a whole number'), v.toNumber())
export const chainId = whole(15)

/** The chain that a list is of: the one that is asked for, or the only one. `chain` undefined: it was not said. */
export function askedChain({ config }: Pick<App, 'config'>, chain: number | undefined): number | Refusal {
  const chains = config.chains.map(({ config: { id } }) => id)
  const [only] = chains
  if (only === undefined || (chain !== undefined && !chains.includes(chain)))
    return { code: 'chain_not_enabled', error: 'Chain not enabled', params: { chain: chain ?? null } }
  if (chain === undefined && chains.length > 1)
    return {
      code: 'invalid_request',
      error: 'This node serves several chains: say which',
      params: { chains },
    }
  return chain ?? only
}

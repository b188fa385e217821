import type { ChainReport } from '../../../protocol/chain.ts'
import { within } from '../../within.ts'
import type { ChainSettings } from '../config.ts'
import { createSigner } from '../signer.ts'
import type { Tickers } from '../tick/ticker.ts'

/** A ticker that is not there in time is busy, or gone. */
const reportMs = 1_000

type Reporting = { config: { chains: readonly ChainSettings[] }; tickers: Tickers }

/** What the tickers know of their chains. */
export async function readReports({ config, tickers }: Reporting): Promise<ChainReport[]> {
  return await Promise.all(
    config.chains.map(async settings => {
      const asked =
        tickers(settings.config.id)
          ?.report()
          .catch(() => null) ?? Promise.resolve(null)
      return (await within(asked, reportMs)) ?? unknown(settings)
    }),
  )
}

/** Of a chain that nobody has looked at yet. */
function unknown({ config, privateKey }: ChainSettings): ChainReport {
  return {
    id: config.id,
    registry: config.registry,
    coordinator: null,
    problem: 'Not looked at yet',
    head: null,
    block: null,
    subscriptions: null,
    payment_address: config.paymentAddress,
    payment_wallet: null,
    signer: { address: createSigner(privateKey).address, balance: null, blocked: null },
    pending: { computed: 0, sending: 0, left: 0, mined: 0 },
    endpoints: [],
  }
}

import { expect, test } from 'vitest'
import type { ChainInfo } from '../../src/protocol/chain.ts'
import { answered, holdFirst, times } from './asked.ts'
import { chainSystemOf } from './asker.ts'
import { until } from './until.ts'

type Info = { pending: { offchain: number; onchain: number }; chains: ChainInfo[] }

const count = 3
const idle = { computed: 0, sending: 0, left: 0, mined: 0 }

test.for([false, true])(
  'behavior: /info counts what is asked on a chain, wherever its answers are; first deployment: %s',
  {
    concurrent: true,
    timeout: 120_000,
  },
  async (firstDeployment, { onTestFinished }) => {
    const system = await chainSystemOf({ onTestFinished, chains: [{ firstDeployment }] })
    const [asker] = system.askers
    const { anvil } = asker.chain
    const info = async () => (await (await fetch(`${system.url}/info`)).json()) as Info
    const chainOf = ({ chains: [chain] }: Info) => {
      if (!chain) throw new Error('No chain is told of')
      return chain
    }
    const pending = async () => chainOf(await info()).pending

    await system.startRunner()
    const release = await holdFirst(system, asker, count)
    const ids = await Promise.all(Array.from({ length: count }, () => asker.ask()))
    await until('they are computed', async () => (await info()).pending.onchain === count)
    await until('the ticker has told', async () => chainOf(await info()).subscriptions === count)
    const computing = await info()
    expect(computing.pending).toEqual({ offchain: 0, onchain: count })
    expect(chainOf(computing)).toMatchObject({ problem: null, subscriptions: count, pending: idle })

    const { address } = chainOf(computing).signer
    await anvil.setBalance({ address: address as `0x${string}`, value: 0n })
    await release()
    await until('the answers wait for funds', async () => (await pending()).computed === count)
    await until('it is told why', async () => chainOf(await info()).signer.blocked !== null)
    const blocked = await info()
    expect(blocked.pending).toEqual({ offchain: 0, onchain: 0 })
    expect(chainOf(blocked)).toMatchObject({
      pending: { ...idle, computed: count },
      signer: { balance: '0', blocked: expect.stringContaining('insufficient_funds') },
    })

    await anvil.setAutomine(false)
    await anvil.setBalance({ address: address as `0x${string}`, value: 10n ** 18n })
    await anvil.mine({ blocks: 1 })
    await until('they are on their way', async () => (await pending()).sending > 0)
    const { sending, ...others } = await pending()
    expect(others).toEqual({ computed: 0, left: 0, mined: 0 })
    await anvil.mine({ blocks: 1 })
    await until('they are mined', async () => (await pending()).mined > 0)
    expect(await pending()).toEqual({ ...idle, mined: sending })
    await answered(asker, times(1, ids))
    expect((await info()).pending).toEqual({ offchain: 0, onchain: 0 })
  },
)

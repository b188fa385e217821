import { createPublicClient, http } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { anvilAccount, type LocalChain, startLocalChain } from '../../src/local/chain/start.ts'
import { feeAbi } from '../../src/protocol/abi/fee.ts'
import { registryAbi } from '../../src/protocol/abi/registry.ts'
import { walletAbi } from '../../src/protocol/abi/wallet.ts'
import { walletFactoryAbi } from '../../src/protocol/abi/wallet-factory.ts'

let chain: LocalChain

beforeAll(async () => {
  chain = await startLocalChain()
})
afterAll(async () => await chain.close())

test('default: the addresses that every example of Infernet expects', () => {
  expect(chain).toMatchObject({
    registry: '0x663F3ad617193148711d28f5334eE4Ed07016602',
    coordinator: '0x2E983A1Ba5e8b38AAAeC4B440B9dDcFBf72E15d1',
    inbox: '0x8438Ad1C834623CfF278AB6829a248E37C2D7E3f',
    reader: '0xBC9129Dc0487fc2E169941C75aABC539f208fb01',
    fee: '0x6e989C01a3e3A94C973A62280a72EC335598490e',
    walletFactory: '0xF6168876932289D073567f347121A267095f3DD6',
    wallet: '0x60985ee8192B322c3CAbA97A9A9f7298bdc4335C',
  })
})

test('behavior: the registry names them, and the first wallet is its owner’s', async () => {
  const client = createPublicClient({ transport: http(chain.rpcUrl) })
  const named = await Promise.all(
    (['COORDINATOR', 'INBOX', 'READER', 'FEE', 'WALLET_FACTORY'] as const).map(functionName =>
      client.readContract({ address: chain.registry, abi: registryAbi, functionName }),
    ),
  )
  expect(named).toEqual([chain.coordinator, chain.inbox, chain.reader, chain.fee, chain.walletFactory])
  const owner = await client.readContract({ address: chain.wallet, abi: walletAbi, functionName: 'owner' })
  expect(owner).toBe(anvilAccount(1).address)
  const valid = {
    address: chain.walletFactory,
    abi: walletFactoryAbi,
    functionName: 'isValidWallet',
  } as const
  expect(await client.readContract({ ...valid, args: [chain.wallet] })).toBe(true)
  expect(await client.readContract({ address: chain.fee, abi: feeAbi, functionName: 'FEE' })).toBe(0)
})

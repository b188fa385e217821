import { createPublicClient, http } from 'viem'
import { expect, test, vi } from 'vitest'
import { readForge } from '../../scripts/forge.ts'
import { startAnvil } from '../../src/local/chain/anvil.ts'
import { anvilAccount } from '../../src/local/chain/start.ts'

/** Of anvil's third account; everybody has it. */
const privateKey = '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a'
const wallet = '0x60985ee8192B322c3CAbA97A9A9f7298bdc4335C'

test('default: the script deploys everything, and makes the first wallet', async () => {
  const anvil = await startAnvil()
  try {
    vi.stubEnv('PRIVATE_KEY', privateKey)
    vi.stubEnv('WALLET_OWNER', anvilAccount(1).address)
    const lines: string[] = []
    const args = ['script', 'script/Deploy.s.sol', '--rpc-url', anvil.rpcUrl, '--broadcast']
    const { succeeded } = await readForge(args, line => lines.push(line.trim()))
    expect(succeeded, lines.join('\n')).toBe(true)
    expect(lines).toContain('Registry: 0x663F3ad617193148711d28f5334eE4Ed07016602')
    expect(lines).toContain(`Wallet: ${wallet}`)
    const client = createPublicClient({ transport: http(anvil.rpcUrl) })
    expect(await client.getCode({ address: wallet })).toMatch(/^0x60/)
  } finally {
    vi.unstubAllEnvs()
    await anvil.close()
  }
}, 180_000)

import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { encodeAbiParameters, getAddress, toFunctionSelector, zeroAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signDelegatedSubscription } from '../../src/client/sign.ts'
import { anvilAccount, createDeployer } from '../../src/local/chain/start.ts'
import { eip712CoordinatorAbi } from '../../src/protocol/abi/eip712-coordinator.ts'
import type { DelegatedInFull } from '../../src/protocol/chain.ts'
import type { DelegatedCreated } from '../../src/protocol/delegated.ts'
import { toDelegation } from '../../src/protocol/delegation.ts'
import { type ChainNode, startChainNode } from '../client/chain-node.ts'
import { type Contract, deploy, nodeAddress, startTestChain, type TestChain } from '../support/chain.ts'
import { policyOf } from '../support/runner.ts'

const run = promisify(execFile)
const script = fileURLToPath(new URL('../../examples/consumer/ask.ts', import.meta.url))
const privateKey = `0x${'f6'.repeat(32)}` as const
let chain: TestChain
let consumer: Contract
let node: ChainNode
let folder: string

beforeAll(async () => {
  chain = await startTestChain()
  const { address } = chain.deployer.wallet.account
  const signer = privateKeyToAccount(privateKey).address
  consumer = await deploy(chain, {
    name: 'DelegatedAllowlist',
    folder: 'examples',
    args: [chain.registry, address, signer, [nodeAddress]],
  })
  node = await startChainNode(chain, { containers: [policyOf('hello-world')] })
  folder = await mkdtemp(join(tmpdir(), 'infernet-ask-'))
}, 180_000)
afterAll(async () => {
  await node?.[Symbol.asyncDispose]()
  await chain?.close()
  if (folder) await rm(folder, { recursive: true })
})

test('default: what the script signs is answered by nodes on the list, and reaches the consumer', async () => {
  const key = join(folder, 'key')
  await writeFile(key, `${privateKey}\n`, { mode: 0o600 })
  const owner = getAddress(consumer.address)
  const { stdout } = await run(process.execPath, [
    script,
    node.url,
    owner,
    key,
    'hello-world',
    '{"name":"you"}',
  ])
  const { status_url } = JSON.parse(stdout) as DelegatedCreated
  const { nonce } = (await (await fetch(status_url)).json()) as DelegatedInFull
  const { id } = await node.answered(owner, nonce)
  const { chain: reads } = chain.deployer
  // The node's containers answer with their input.
  const output = encodeAbiParameters([{ type: 'string' }], ['{"name":"you"}'])
  expect(await reads.readContract({ ...consumer, functionName: 'outputs', args: [id] })).toBe(output)
})

test('behavior: a node that is not on the list delivers nothing', async () => {
  const terms = { nonce: 1, expiry: 4_000_000_000, chainId: chain.id, coordinator: chain.coordinator }
  const { subscription, signature } = await signDelegatedSubscription(privateKeyToAccount(privateKey), {
    subscription: { owner: getAddress(consumer.address), containers: ['hello-world'] },
    ...terms,
  })
  const { expiry, sub } = toDelegation(subscription, signature)
  const stranger = createDeployer(chain.rpcUrl, anvilAccount(6))
  const delivery = stranger.chain.simulateContract({
    address: chain.coordinator,
    abi: eip712CoordinatorAbi,
    functionName: 'deliverComputeDelegatee',
    args: [1, expiry, sub, signature.v, signature.r, signature.s, 1, '0x', '0x01', '0x', zeroAddress],
    account: anvilAccount(6).address,
  })
  await expect(delivery).rejects.toThrow(toFunctionSelector('NodeNotAllowed()'))
})

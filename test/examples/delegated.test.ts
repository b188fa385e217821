import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { encodeAbiParameters, getAddress, toFunctionSelector, zeroAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { anvilAccount, createDeployer } from '../../src/local/chain/start.ts'
import { eip712CoordinatorAbi } from '../../src/protocol/abi/eip712-coordinator.ts'
import { parseDelegated } from '../../src/protocol/delegated.ts'
import { delegationKey, toDelegation } from '../../src/protocol/delegation.ts'
import { parseJson, plain } from '../../src/protocol/json.ts'
import { type FakeNode, infoOf, startFakeNode } from '../client/fake-node.ts'
import { type Contract, deploy, startTestChain, type TestChain } from '../support/chain.ts'

const run = promisify(execFile)
const script = fileURLToPath(new URL('../../examples/consumer/ask.ts', import.meta.url))
const privateKey = `0x${'f6'.repeat(32)}` as const
const taken = {
  id: 'd1',
  status_url: '/d1',
  job_id: null,
  chain_id: 31_337,
  subscription_id: null,
  interval: 1,
}

let chain: TestChain
let consumer: Contract
let node: FakeNode
let folder: string

beforeAll(async () => {
  chain = await startTestChain()
  const { address } = chain.deployer.wallet.account
  const signer = privateKeyToAccount(privateKey).address
  consumer = await deploy(chain, {
    name: 'DelegatedAllowlist',
    folder: 'examples',
    args: [chain.registry, address, signer, [address]],
  })
  node = await startFakeNode(request => ({ json: request === 'GET /info' ? infoOf(chain) : taken }))
  folder = await mkdtemp(join(tmpdir(), 'infernet-ask-'))
}, 180_000)
afterAll(async () => {
  await chain?.close()
  await node?.[Symbol.asyncDispose]()
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
  expect(JSON.parse(stdout)).toEqual(taken)

  // The node's part: it computes on the data, and delivers with the signature.
  const body = plain(parseJson(node.asked.at(-1)?.body ?? ''))
  expect(body).toMatchObject({ data: { name: 'you' } })
  const { subscription, signature } = parseDelegated(body).request!
  const { nonce, expiry, sub } = toDelegation(subscription, signature)
  const output = encodeAbiParameters([{ type: 'string' }], ['hello, you'])
  const deliver = {
    address: chain.coordinator,
    abi: eip712CoordinatorAbi,
    functionName: 'deliverComputeDelegatee',
    args: [nonce, expiry, sub, signature.v, signature.r, signature.s, 1, '0x', output, '0x', zeroAddress],
  } as const
  const stranger = createDeployer(chain.rpcUrl, anvilAccount(6))
  await expect(
    stranger.chain.simulateContract({ ...deliver, account: anvilAccount(6).address }),
  ).rejects.toThrow(toFunctionSelector('NodeNotAllowed()'))
  const { wallet, chain: reads } = chain.deployer
  const hash = await wallet.writeContract(deliver)
  expect(await reads.waitForTransactionReceipt({ hash })).toMatchObject({ status: 'success' })
  const id = await reads.readContract({
    ...deliver,
    functionName: 'delegateCreatedIds',
    args: [delegationKey(owner, nonce)],
  })
  expect(await reads.readContract({ ...consumer, functionName: 'outputs', args: [id] })).toBe(output)
})

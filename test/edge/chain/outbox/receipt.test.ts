import { type Address, encodeAbiParameters, encodeEventTopics, type Hex, zeroHash } from 'viem'
import { expect, test } from 'vitest'
import { readReceipt } from '../../../../src/edge/chain/outbox/receipt.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'

const coordinator: Address = `0x${'c0'.repeat(20)}`
const consumer: Address = `0x${'ab'.repeat(20)}`
const node: Address = `0x${'0e'.repeat(20)}`
const abi = eip712CoordinatorAbi

const accepted = (address: Address, id: number, interval: number) => ({
  address,
  topics: encodeEventTopics({ abi, eventName: 'AnswerAccepted', args: { id } }),
  data: encodeAbiParameters(
    [{ type: 'uint32' }, { type: 'uint16' }, { type: 'bytes32' }],
    [interval, 1, zeroHash],
  ),
})
const rejected = (id: number, interval: number) => ({
  address: coordinator,
  topics: encodeEventTopics({ abi, eventName: 'AnswerRejected', args: { id } }),
  data: encodeAbiParameters([{ type: 'uint32' }, { type: 'address' }], [interval, consumer]),
})
const callFailed = (index: bigint) => ({
  address: coordinator,
  topics: encodeEventTopics({ abi, eventName: 'CallFailed', args: { index } }),
  data: encodeAbiParameters([{ type: 'bytes' }], ['0x']),
})

const told = (logs: unknown[], rest: Record<string, unknown> = {}) => ({
  result: {
    transactionHash: zeroHash,
    from: node,
    to: coordinator,
    blockNumber: '0x5',
    blockHash: zeroHash,
    status: '0x1',
    gasUsed: '0x64',
    effectiveGasPrice: '0x3',
    logs,
    ...rest,
  },
})

test('default: what was accepted, or rejected for its proof', () => {
  const receipt = readReceipt(told([accepted(coordinator, 7, 2), rejected(9, 1)]), coordinator)
  expect(receipt).toMatchObject({ block: 5, succeeded: true, gasUsed: 100, gasPrice: 3n })
  expect([...(receipt?.judged ?? [])]).toEqual(['7/2', '9/1'])
})

test('behavior: a consumer in the batch that makes calls of its own fail changes nothing', () => {
  // It calls `deliverComputeBatch` with rubbish from its callback: the coordinator tells of it in the same transaction.
  const logs = [callFailed(0n), callFailed(1n), accepted(coordinator, 7, 2)]
  expect([...(readReceipt(told(logs), coordinator)?.judged ?? [])]).toEqual(['7/2'])
})

test('behavior: what others say in the coordinator’s words counts for nothing', () => {
  expect(readReceipt(told([accepted(consumer, 7, 2)]), coordinator)?.judged.size).toBe(0)
})

test.each<[string, Record<string, unknown>]>([
  ['no number', { blockNumber: null }],
  ['no status', { status: undefined }],
  ['logs that are none', { logs: 'x' as unknown as Hex }],
])('error: a receipt with %s is none', (_, rest) => {
  expect(readReceipt(told([], rest), coordinator)).toBeNull()
})

test('error: no receipt', () => {
  expect(readReceipt({ result: null }, coordinator)).toBeNull()
  expect(readReceipt(undefined, coordinator)).toBeNull()
})

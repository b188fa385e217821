import { concat, encodeAbiParameters, keccak256, stringToHex } from 'viem'
import { expect, test } from 'vitest'
import { dataDigestOf } from '../../src/protocol/data-signature.ts'
import { joinSignature, splitSignature } from '../../src/protocol/signature.ts'

const coordinator = '0x2E983A1Ba5e8b38AAAeC4B440B9dDcFBf72E15d1'
const owner = '0x5FbDB2315678afecb367f032d93F642f64180aa3'
const typeHash = (type: string) => keccak256(stringToHex(type))

test('default: the digest is that of EIP-712, over the bytes of the text', () => {
  const data = '{"text": "☃"}'
  const domain = encodeAbiParameters(
    [{ type: 'bytes32' }, { type: 'bytes32' }, { type: 'bytes32' }, { type: 'uint256' }, { type: 'address' }],
    [
      typeHash('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)'),
      keccak256(stringToHex('InfernetCoordinator')),
      keccak256(stringToHex('1')),
      31_337n,
      coordinator,
    ],
  )
  const message = encodeAbiParameters(
    [{ type: 'bytes32' }, { type: 'address' }, { type: 'uint32' }, { type: 'bytes32' }],
    [
      typeHash('DelegateData(address owner,uint32 nonce,bytes32 dataHash)'),
      owner,
      7,
      keccak256(stringToHex(data)),
    ],
  )
  const digest = keccak256(concat(['0x1901', keccak256(domain), keccak256(message)]))
  expect(dataDigestOf({ chainId: 31_337, coordinator }, { owner, nonce: 7, data })).toBe(digest)
})

test('behavior: a signature is the same bytes again', () => {
  for (const v of ['00', '1b', 'ff']) {
    const bytes = `0x${'01'.repeat(32)}${'00'.repeat(31)}02${v}` as const
    expect(joinSignature(splitSignature(bytes)!)).toBe(bytes)
  }
})

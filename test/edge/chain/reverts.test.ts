import { encodeAbiParameters, encodeErrorResult, type Hex, toFunctionSelector } from 'viem'
import { describe, expect, test } from 'vitest'
import { isAllowed, isRevert, revertOf } from '../../../src/edge/chain/reverts.ts'
import { eip712CoordinatorAbi } from '../../../src/protocol/abi/eip712-coordinator.ts'

const standing = { begin: 1_000, end: 2_000, time: 1_500 }

const failed = (data: Hex) => ({ code: 3, message: 'execution reverted', data })

/** The reference node's table, word for word; and what comes of each. */
const table: [selector: Hex, name: string, kind: 'drop' | 'retry', message: string][] = [
  [
    '0x23455ba1',
    'InvalidWallet',
    'retry',
    "Invalid wallet, please make sure you're using a wallet created from Infernet's `WalletFactory`.",
  ],
  ['0x4db310c3', 'IntervalMismatch', 'drop', 'Interval mismatch. The interval is not the current one.'],
  [
    '0x2f4ca85b',
    'IntervalCompleted',
    'drop',
    'Interval completed. Redundancy has been already met for the current interval',
  ],
  ['0xb9857aa1', 'UnauthorizedVerifier', 'drop', 'Verifier is not authorized.'],
  ['0x88a21e4f', 'NodeRespondedAlready', 'drop', 'Node already responded for this interval'],
  ['0x1a00354f', 'SubscriptionNotFound', 'drop', 'Subscription not found'],
  ['0x1d68b37c', 'ProofRequestNotFound', 'drop', 'Proof request not found'],
  ['0xa7fba711', 'NotSubscriptionOwner', 'drop', 'Caller is not the owner of the subscription'],
  [
    '0xae6704a7',
    'SubscriptionCompleted',
    'drop',
    'Subscription is already completed, another node has likely already delivered the response',
  ],
  ['0xefb74efe', 'SubscriptionNotActive', 'drop', 'Subscription is not active'],
  [
    '0xe2372799',
    'UnsupportedVerifierToken',
    'drop',
    'Unsupported verifier token. Attempting to pay a `IVerifier`-contract in a token it does not support receiving payments in',
  ],
  ['0x10c74b03', 'SignerMismatch', 'drop', 'Signer does not match.'],
  ['0x0819bdcd', 'SignatureExpired', 'drop', 'EIP-712 Signature has expired.'],
  ['0x90b8ec18', 'TransferFailed', 'retry', 'Token transfer failed.'],
  [
    '0x356680b7',
    'InsufficientFunds',
    'retry',
    'Insufficient funds. You either are trying to withdraw `amount > unlockedBalance` or are trying to escrow `amount > unlockedBalance`or attempting to unlock `amount > lockedBalance` ',
  ],
  ['0x13be252b', 'InsufficientAllowance', 'retry', 'Insufficient allowance.'],
  ['0x42764946', 'NodeNotAllowed', 'drop', 'Node is not allowed to deliver this subscription.'],
  ['0xf4d678b8', 'InsufficientBalance', 'retry', 'Insufficient balance.'],
]

describe('revertOf', () => {
  test.for(table)('default: %s is %s', ([selector, code, kind, message]) => {
    // Arguments, where it has any, are not known to the reference: it looks for the selector alone.
    const data = `${selector}${'00'.repeat(96)}` as Hex
    expect(revertOf(failed(data), standing)).toEqual({ kind, code, message, isKnown: true })
  })

  test('behavior: what has no sentence is not met by deliveries of ours', () => {
    const all = eip712CoordinatorAbi.flatMap(item => (item.type === 'error' ? [item] : []))
    const unknown = all.filter(({ name, inputs }) => {
      const types = inputs.map(({ type }) => type).join(',')
      const selector = toFunctionSelector(`${name}(${types})`)
      return !revertOf(failed(`${selector}${'00'.repeat(128)}`), standing).isKnown
    })
    // Of making subscriptions, of delegated ones and of commitments.
    expect(unknown.map(({ name }) => name)).toEqual([
      'DelegationMismatch',
      'InvalidOwner',
      'InvalidPeriod',
      'InvalidTerms',
      'InvalidVerifier',
      'NoInterval',
      'NoRedundancy',
      'NonceUsed',
      'NotCommitted',
      'NotDelegator',
      'SubscriptionNotEnded',
    ])
  })

  test('behavior: before an interval, and just after it has begun, a later block may take it', () => {
    const data = encodeErrorResult({ abi: eip712CoordinatorAbi, errorName: 'SubscriptionNotActive' })
    const kindAt = (time: number, end: number | null = 2_000) =>
      revertOf(failed(data), { begin: 1_000, end, time }).kind
    expect([1, 988, 1_000, 1_012, 1_013].map(time => kindAt(time))).toEqual([
      'retry',
      'retry',
      'retry',
      'retry',
      'drop',
    ])
    expect(kindAt(1_005, 1_005)).toBe('drop')
    expect(kindAt(1_005, null)).toBe('retry')
  })

  test('behavior: the consumer’s own reverts may be for the moment, and are told', () => {
    const said = encodeAbiParameters([{ type: 'string' }], ['not today'])
    expect(revertOf(failed(`0x08c379a0${said.slice(2)}`), standing)).toEqual({
      kind: 'retry',
      code: 'reverted',
      message: 'not today',
      isKnown: false,
    })
    expect(revertOf(failed('0xdeadbeef'), standing)).toMatchObject({
      kind: 'retry',
      message: 'reverted with 0xdeadbeef',
    })
    const keyed = encodeAbiParameters([{ type: 'string' }], ['ask https://a.test/s3cret'])
    expect(revertOf(failed(`0x08c379a0${keyed.slice(2)}`), standing).message).toBe('ask …')
    const long = `execution reverted: ${'no, '.repeat(300)}`
    expect(revertOf({ code: 3, message: long }, standing).message).toHaveLength(200)
    expect(revertOf({ code: 3, message: 'x'.repeat(1_000) }, standing).message).toBe('execution reverted')
    expect(revertOf(failed('0x'), standing)).toMatchObject({ message: 'execution reverted' })
  })

  test('behavior: a node’s own trouble is no revert', () => {
    const is = (code: number, message: string) => isRevert({ code, message })
    expect([is(3, 'no'), is(-32_000, 'execution reverted'), is(-32_000, 'out of gas')]).toEqual([
      true,
      true,
      true,
    ])
    expect([is(-32_000, 'header not found'), is(-32_601, 'no such method')]).toEqual([false, false])
  })

  test('behavior: errors that are allowed count as passed, by name, by sentence, in whatever case', () => {
    const data = encodeErrorResult({ abi: eip712CoordinatorAbi, errorName: 'IntervalCompleted' })
    expect(isAllowed(failed(data), ['intervalcompleted'])).toBe(true)
    expect(isAllowed(failed(data), ['execution REVERTED'.toLowerCase()])).toBe(true)
    expect(isAllowed(failed(data), ['something else'])).toBe(false)
    expect(isAllowed(failed(data), [])).toBe(false)
  })
})

import fc from 'fast-check'
import type { Address } from 'viem'
import { describe, expect, test } from 'vitest'
import { type CarriedAnswer, entriesOf, verdictEntry } from '../../../../src/edge/chain/ledger/entries.ts'
import type { Move } from '../../../../src/edge/chain/outbox/moves.ts'

const address = (byte: string): Address => `0x${byte.repeat(20)}`
const owner = address('aa')
const wallet = address('bb')
const token = address('cc')
const nodeWallet = address('dd')
const feeRecipient = address('ee')
const verifierWallet = address('ff')
const node = address('11')

const parties = { owner, wallet, token, nodeWallet, feeRecipients: [feeRecipient], hasVerifier: false }
const costs = { gasUsed: 100, gasCost: 1_001n }

function paid(to: Address, amount: bigint, from: Partial<Extract<Move, { kind: 'paid' }>> = {}): Move {
  return { kind: 'paid', wallet, spender: owner, token, to, amount, ...from }
}

function judged(key: string, accepted = true): Move {
  return { kind: 'judged', key, accepted, node: accepted ? null : node }
}

function carried(subscription: number, changed: Partial<CarriedAnswer> = {}): CarriedAnswer {
  return {
    subscription,
    interval: 1,
    key: `${subscription}/1`,
    outcome: 'delivered',
    isPaid: true,
    gas: null,
    parties,
    ...changed,
  }
}

describe('entriesOf', () => {
  test('default: what was paid, to whom, and what it cost', () => {
    const moves = [paid(feeRecipient, 10n), paid(nodeWallet, 90n), judged('7/1')]
    expect(entriesOf({ moves, ...costs }, [carried(7)])).toEqual([
      {
        kind: 'answer',
        subscription: 7,
        interval: 1,
        consumer: owner,
        token,
        payment: 90n,
        slashed: 0n,
        owed: 0n,
        owing: 0n,
        protocolFee: 10n,
        verifierFee: 0n,
        gasUsed: 100,
        gasCost: 1_001n,
      },
    ])
  })

  test('behavior: each answer of a batch has what was moved for it', () => {
    const moves = [paid(nodeWallet, 5n), judged('7/1'), paid(feeRecipient, 1n), paid(nodeWallet, 6n)]
    const entries = entriesOf({ moves: [...moves, judged('8/1')], ...costs }, [
      carried(8),
      carried(7),
      carried(9, { outcome: 'failed' }),
    ])
    expect(entries).toMatchObject([
      { subscription: 8, kind: 'answer', payment: 6n, protocolFee: 1n },
      { subscription: 7, kind: 'answer', payment: 5n, protocolFee: 0n },
      { subscription: 9, kind: 'failed', payment: 0n },
    ])
  })

  test('behavior: a proof that was accepted or refused at once', () => {
    const withVerifier = { ...parties, hasVerifier: true }
    const fees = [paid(feeRecipient, 4n), paid(verifierWallet, 3n)]
    const stake = paid(wallet, 100n, { wallet: nodeWallet, spender: node })
    const accepted = [...fees, paid(nodeWallet, 93n), judged('7/1')]
    const rejected = [...fees, stake, judged('7/1', false)]
    const book = (moves: Move[], outcome: 'delivered' | 'rejected') =>
      entriesOf({ moves, ...costs }, [carried(7, { outcome, parties: withVerifier })])[0]
    expect(book(accepted, 'delivered')).toMatchObject({
      kind: 'answer',
      payment: 93n,
      protocolFee: 4n,
      verifierFee: 3n,
      slashed: 0n,
    })
    expect(book(rejected, 'rejected')).toMatchObject({ kind: 'rejected', payment: 0n, slashed: 100n })
  })

  test('behavior: a token that takes something off: what it says has arrived', () => {
    const arrived: Move = { kind: 'arrived', token, from: wallet, to: nodeWallet, amount: 99n }
    const moves = [arrived, paid(nodeWallet, 100n), judged('7/1')]
    expect(entriesOf({ moves, ...costs }, [carried(7)])).toMatchObject([{ payment: 99n }])
  })

  test('behavior: a token that says what cannot be: no less than nothing has arrived, and no more than was paid', () => {
    const arrived = (from: Address, to: Address, amount: bigint): Move => ({
      kind: 'arrived',
      token,
      from,
      to,
      amount,
    })
    const book = (...told: Move[]) =>
      entriesOf({ moves: [...told, paid(nodeWallet, 60n), paid(nodeWallet, 40n), judged('7/1')], ...costs }, [
        carried(7),
      ])
    const other = address('99')
    expect(book(arrived(wallet, nodeWallet, 5n), arrived(nodeWallet, other, 6n))).toMatchObject([
      { payment: 0n },
    ])
    expect(book(arrived(wallet, nodeWallet, 99n))).toMatchObject([{ payment: 99n }])
    expect(book(arrived(wallet, nodeWallet, 2n ** 255n))).toMatchObject([{ payment: 100n }])
  })

  test('behavior: of an answer that is not paid, whoever it names as its wallet says nothing', () => {
    const owed: Move = { kind: 'owed', wallet, token, to: nodeWallet, amount: 7n }
    const moves = [paid(nodeWallet, 1_000n), owed, judged('7/1')]
    expect(entriesOf({ moves, ...costs }, [carried(7, { isPaid: false })])).toMatchObject([
      { kind: 'answer', payment: 0n, owed: 0n, protocolFee: 0n },
    ])
  })

  test('behavior: what others say counts for nothing', () => {
    const moves = [
      paid(nodeWallet, 5n, { wallet: address('99') }),
      paid(nodeWallet, 5n, { spender: address('99') }),
      paid(nodeWallet, 5n, { token: address('99') }),
      { kind: 'arrived', token: address('99'), from: wallet, to: nodeWallet, amount: 7n } as const,
      judged('7/1'),
    ]
    expect(entriesOf({ moves, ...costs }, [carried(7)])).toMatchObject([
      { payment: 0n, protocolFee: 0n, slashed: 0n },
    ])
  })

  test('behavior: the first coordinators say nothing of an answer by itself', () => {
    const moves = [paid(feeRecipient, 1n), paid(nodeWallet, 2n)]
    expect(entriesOf({ moves, ...costs }, [carried(7)])).toMatchObject([
      { kind: 'answer', payment: 2n, protocolFee: 1n },
    ])
  })

  test('behavior: verdicts on several nodes’ answers to one interval in one transaction: each its own', () => {
    const other = address('22')
    const otherWallet = address('33')
    const withVerifier = { ...parties, hasVerifier: true }
    const answer = { subscription: 7, interval: 1, key: '7/1', parties: withVerifier }
    const moves: Move[] = [
      paid(otherWallet, 80n),
      { kind: 'settled', key: '7/1', node: other },
      paid(nodeWallet, 90n),
      { kind: 'settled', key: '7/1', node },
    ]
    expect(verdictEntry(moves, { ...answer, node })).toMatchObject({
      kind: 'verdict',
      payment: 90n,
      verifierFee: 0n,
      slashed: 0n,
    })
    const slashed: Move[] = [
      ...moves.slice(0, 2),
      paid(wallet, 100n, { wallet: nodeWallet, spender: node }),
      { kind: 'judged', key: '7/1', accepted: false, node },
      { kind: 'settled', key: '7/1', node },
    ]
    expect(verdictEntry(slashed, { ...answer, node })).toMatchObject({ payment: 0n, slashed: 100n })
  })

  test('behavior: an answer whose consumer has another proof judged: what that moves is booked once, and the fees are of the answer', () => {
    const withVerifier = { ...parties, hasVerifier: true }
    const unlocked = (spender: Address): Move => ({ kind: 'unlocked', spender })
    const fees = [paid(feeRecipient, 4n), paid(verifierWallet, 3n)]
    const stake = paid(wallet, 100n, { wallet: nodeWallet, spender: node })
    const slashed: Move[] = [unlocked(node), unlocked(owner), stake, { kind: 'settled', key: '6/1', node }]
    const earned: Move[] = [
      unlocked(node),
      unlocked(owner),
      paid(nodeWallet, 93n),
      { kind: 'settled', key: '6/1', node },
    ]
    const answer = [carried(7, { parties: withVerifier })]
    const verdict = { subscription: 6, interval: 1, key: '6/1', node, parties: withVerifier }
    for (const [settlement, sums] of [
      [slashed, { payment: 0n, slashed: 100n }],
      [earned, { payment: 93n, slashed: 0n }],
    ] as const) {
      const moves = [...fees, ...settlement]
      expect(entriesOf({ moves, ...costs }, answer)).toMatchObject([
        { kind: 'answer', payment: 0n, slashed: 0n, protocolFee: 4n, verifierFee: 3n },
      ])
      expect(verdictEntry(moves, verdict)).toMatchObject({ ...sums, protocolFee: 0n, verifierFee: 0n })
      // Its own proof, judged at once.
      const own = settlement.map(move => (move.kind === 'settled' ? { ...move, key: '7/1' } : move))
      expect(entriesOf({ moves: [...fees, ...own, ...settlement], ...costs }, answer)).toMatchObject([
        { ...sums, protocolFee: 4n, verifierFee: 3n },
      ])
    }
  })

  test('behavior: what the token does not let through is owed, of one wallet to the other, and with its own answer alone', () => {
    const owed = (from: Address, to: Address, amount: bigint): Move => ({
      kind: 'owed',
      wallet: from,
      token,
      to,
      amount,
    })
    const foreign: Move[] = [
      owed(address('99'), nodeWallet, 7n),
      owed(wallet, address('99'), 7n),
      { kind: 'owed', wallet, token: address('99'), to: nodeWallet, amount: 7n },
    ]
    const withVerifier = { ...parties, hasVerifier: true }
    const answer = { subscription: 7, interval: 1, key: '7/1', parties: withVerifier, node }
    const earned: Move[] = [...foreign, owed(wallet, nodeWallet, 90n), { kind: 'settled', key: '7/1', node }]
    expect(verdictEntry(earned, answer)).toMatchObject({ payment: 0n, owed: 90n, owing: 0n })
    const lost: Move[] = [
      ...earned,
      { kind: 'unlocked', spender: node },
      paid(wallet, 60n, { wallet: nodeWallet, spender: node }),
      owed(nodeWallet, wallet, 40n),
      { kind: 'settled', key: '8/1', node },
    ]
    expect(verdictEntry(lost, { ...answer, subscription: 8, key: '8/1' })).toMatchObject({
      slashed: 60n,
      owed: 0n,
      owing: 40n,
    })
    expect(
      entriesOf({ moves: [...earned, judged('7/1'), ...lost.slice(5), judged('8/1')], ...costs }, [
        carried(7, { parties: withVerifier }),
        carried(8, { parties: withVerifier }),
      ]),
    ).toMatchObject([
      { owed: 90n, owing: 0n },
      { owed: 0n, owing: 40n },
    ])
  })

  test('behavior: what is claimed of an old debt meanwhile has been earned before', () => {
    const arrived = (amount: bigint): Move => ({
      kind: 'arrived',
      token,
      from: wallet,
      to: nodeWallet,
      amount,
    })
    const unlocked: Move = { kind: 'unlocked', spender: owner }
    const book = (...moves: Move[]) => entriesOf({ moves: [...moves, judged('7/1')], ...costs }, [carried(7)])
    expect(book(arrived(99n), paid(nodeWallet, 100n), arrived(50n))).toMatchObject([{ payment: 99n }])
    expect(book(arrived(50n), unlocked, arrived(99n), paid(nodeWallet, 100n))).toMatchObject([
      { payment: 99n },
    ])
  })

  test('behavior: a consumer that is the node itself loses what it had at stake', () => {
    const unlocked: Move = { kind: 'unlocked', spender: node }
    const stake = paid(wallet, 100n, { wallet: nodeWallet, spender: node })
    const moves: Move[] = [
      ...[unlocked, stake, unlocked],
      { kind: 'judged', key: '7/1', accepted: false, node },
      { kind: 'settled', key: '7/1', node },
    ]
    const self = { ...parties, owner: node, hasVerifier: true }
    const verdict = { subscription: 7, interval: 1, key: '7/1', node, parties: self }
    expect(verdictEntry(moves, verdict)).toMatchObject({ slashed: 100n })
  })

  test('behavior: a transaction that carried nothing is an expense', () => {
    expect(entriesOf({ moves: [], ...costs }, [])).toMatchObject([
      { kind: 'expense', subscription: null, consumer: '', gasUsed: 100, gasCost: 1_001n },
    ])
  })

  test('property: the parts of the gas make up the whole', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.nat(),
        fc.bigInt({ min: 0n, max: 2n ** 128n }),
        fc.array(fc.option(fc.nat({ max: 10_000_000 })), { minLength: 40, maxLength: 40 }),
        (count, gasUsed, gasCost, gases) => {
          const answers = Array.from({ length: count }, (_, index) =>
            carried(index, { gas: gases[index] ?? null }),
          )
          const entries = entriesOf({ moves: [], gasUsed, gasCost }, answers)
          expect(entries.reduce((sum, entry) => sum + entry.gasUsed, 0)).toBe(gasUsed)
          expect(entries.reduce((sum, entry) => sum + entry.gasCost, 0n)).toBe(gasCost)
        },
      ),
    )
  })
})

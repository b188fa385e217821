import { zeroAddress } from 'viem'
import { describe, expect, test } from 'vitest'
import { admitSubscription } from '../../../src/edge/chain/admit.ts'
import type { Subscription } from '../../../src/edge/chain/chain.ts'
import { type Guard, openGuard } from '../../../src/edge/chain/guard/guard.ts'
import { cancelledAt } from '../../../src/edge/chain/interval.ts'
import { mergePolicies } from '../../../src/edge/runners/policy.ts'
import type { ContainerPolicy } from '../../../src/protocol/container.ts'
import { containerIdOf } from '../../../src/protocol/container-hash.ts'
import { policyOf } from '../../support/runner.ts'
import { subscriptionOf } from './subscription.ts'

const now = 1_000
const owner = '0x00000000000000000000000000000000000000aa'
const token = '0x00000000000000000000000000000000000000bb'
const paymentAddress = '0x00000000000000000000000000000000000000cc'
const verifier = '0x00000000000000000000000000000000000000dd'

type Asked = {
  subscription?: Partial<Subscription>
  /** Policies of `a` and `b`, a list for each runner. */
  runners?: Partial<ContainerPolicy>[][]
  route?: string | null
  pays?: boolean
  guard?: Guard
}

function admit({
  subscription = {},
  runners = [[{}, {}]],
  route = 'a,b',
  pays = true,
  guard = openGuard,
}: Asked = {}) {
  const byRunner = runners.map(list => list.map((rest, index) => policyOf('ab'[index]!, rest)))
  return admitSubscription(
    { containers: mergePolicies(byRunner) },
    {
      subscription: subscriptionOf({ id: 7, owner, activeAt: now, ...subscription }),
      config: { paymentAddress: pays ? paymentAddress : zeroAddress, guard },
      now,
      route,
    },
  )
}

const priced = (least: string) => ({ accepted_payments: { [token.toUpperCase().replace('X', 'x')]: least } })
const paid = (paymentAmount: bigint) => ({ paymentAmount, paymentToken: token }) as const

describe('admission', () => {
  test('default: what asks for nothing in particular', () => {
    expect(admit()).toBeNull()
    expect(admit({ pays: false })).toBeNull()
  })

  const over: [string, Partial<Subscription>][] = [
    ['cancelled', { activeAt: cancelledAt }],
    ['past its last interval', { activeAt: 0, period: 10, frequency: 5 }],
    ['expired', { expiresAt: now }],
    ['of no interval at all', { frequency: 0 }],
    ['that wants no answer', { redundancy: 0 }],
  ]
  test.for(over)('behavior: %s is completed, whatever else is wrong with it', ([, subscription]) => {
    expect(admit({ subscription, route: null })).toEqual({
      code: 'completed',
      message: 'Subscription completed',
      params: {},
    })
  })

  test('behavior: containers that are not known', () => {
    const refusal = {
      code: 'unsupported_containers',
      message: 'Container-set not supported',
      params: { containers_hash: containerIdOf('a,b') },
    }
    const subscription = { containerId: containerIdOf('a,b') }
    expect(admit({ subscription, route: null })).toEqual(refusal)
    expect(admit({ subscription, route: 'a,x' })).toEqual(refusal)
    expect(admit({ subscription, runners: [] })).toEqual(refusal)
  })

  test('behavior: the first container has to be external, for every runner', () => {
    const refusal = {
      code: 'not_external',
      message: 'First container must be external',
      params: { first_container: 'a' },
    }
    expect(admit({ runners: [[{ external: false }, {}]] })).toEqual(refusal)
    expect(admit({ runners: [[{}, {}], [{ external: false }]] })).toEqual(refusal)
    expect(admit({ runners: [[{}, { external: false }]] })).toBeNull()
  })

  test('behavior: the owner has to be on every list that is not empty, in whatever case', () => {
    const [listed, other] = [[owner.toUpperCase().replace('X', 'x'), paymentAddress], [paymentAddress]]
    const refusal = {
      code: 'not_allowed',
      message: 'Container not allowed for address',
      params: { container: 'b', address: owner },
    }
    expect(admit({ runners: [[{ allowed_addresses: listed }, { allowed_addresses: listed }]] })).toBeNull()
    expect(admit({ runners: [[{}, { allowed_addresses: other }]] })).toEqual(refusal)
    expect(
      admit({
        runners: [
          [{}, { allowed_addresses: listed }],
          [{}, { allowed_addresses: other }],
        ],
      }),
    ).toEqual(refusal)
    expect(admit({ runners: [[{ allowed_delegate_addresses: other }, {}]] })).toBeNull()
  })

  test('behavior: a proof is the last container’s, and backed by the node', () => {
    const proves = [[{}, { generates_proofs: true }]]
    expect(admit({ subscription: { verifier } })).toEqual({
      code: 'unsupported_proof',
      message: 'Container does not generate proof',
      params: { container: 'b' },
    })
    expect(admit({ subscription: { verifier }, runners: proves })).toBeNull()
    expect(admit({ subscription: { verifier }, runners: proves, pays: false })).toMatchObject({
      code: 'invalid_payment',
      params: { reason: 'no payment address' },
    })
    const distrustful = { ...openGuard, verifiers: new Map() }
    expect(admit({ subscription: { verifier }, runners: proves, guard: distrustful })?.code).toBe(
      'verifier_not_accepted',
    )
    // Where nothing could be staked anyway, that is said first.
    expect(
      admit({ subscription: { verifier }, runners: proves, guard: distrustful, pays: false })?.params.reason,
    ).toBe('no payment address')
  })

  test('behavior: payments', () => {
    const flawOf = (asked: Asked) => admit(asked)?.params.reason ?? null
    expect(admit({ subscription: paid(1n), pays: false })).toEqual({
      code: 'invalid_payment',
      message: 'Invalid payment',
      params: { subscription_id: 7, reason: 'no payment address' },
    })
    expect(flawOf({ subscription: paid(1n) })).toBeNull()
    const both = [[priced('5'), priced('7')]]
    expect(flawOf({ subscription: paid(12n), runners: both })).toBeNull()
    expect(flawOf({ subscription: paid(11n), runners: both })).toBe('below minimum payment')
    expect(flawOf({ subscription: { ...paid(12n), paymentToken: verifier }, runners: both })).toBe(
      'token not accepted',
    )
    expect(flawOf({ runners: both })).toBe('token not accepted')
    // The highest price; a runner that names none takes any; two that agree on none take none.
    expect(flawOf({ subscription: paid(12n), runners: [...both, [priced('6')]] })).toBe(
      'below minimum payment',
    )
    expect(flawOf({ subscription: paid(13n), runners: [...both, [priced('6')], [{}, {}]] })).toBeNull()
    const disagreed = [[priced('1')], [{ accepted_payments: { [verifier]: '1' } }]]
    expect(flawOf({ subscription: paid(9n), runners: disagreed, route: 'a' })).toBe('token not accepted')
  })

  test('behavior: commitments are refused by name', () => {
    expect(admit({ subscription: { committed: true } })).toEqual({
      code: 'unsupported_commitments',
      message: 'Commitments not supported',
      params: {},
    })
  })
})

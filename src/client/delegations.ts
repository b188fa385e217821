import { type Address, createPublicClient, http } from 'viem'
import { delegatorAbi } from '../protocol/abi/delegator.ts'
import { eip712CoordinatorAbi } from '../protocol/abi/eip712-coordinator.ts'
import { delegationKey } from '../protocol/delegation.ts'
import { isUnknown, unanswered } from './chain-error.ts'
import { invalid } from './error.ts'

/** What a chain says of an owner's signatures. Every call may throw InfernetError `bad_answer`: the chain cannot be asked. */
export type Delegations = {
  /** EIP-155. */
  chainId(): Promise<number>
  /** Who signs for an owner, and whether that is a contract, which judges for itself. @throws InfernetError when it is no `Delegator`. */
  signerOf(owner: Address): Promise<{ address: Address; isContract: boolean }>
  /** The subscription that a nonce stands for; `invalidated`: none, ever; null: none so far. */
  usedFor(at: Place, nonce: number): Promise<number | 'invalidated' | null>
  /** A nonce that stands for nothing, from anywhere: who signs beside us is not to pick the same. */
  unusedNonce(at: Place): Promise<number>
}

type Place = { coordinator: Address; owner: Address }

export function createDelegations(rpcUrl: string): Delegations {
  const chain = createPublicClient({ transport: http(rpcUrl) })
  const { host } = new URL(rpcUrl)

  /** `otherwise`: what is so where a contract does not know the function. */
  async function ask<Answer, Otherwise>(
    question: () => Promise<Answer>,
    otherwise: Otherwise,
  ): Promise<Answer | Otherwise> {
    try {
      return await question()
    } catch (error) {
      if (isUnknown(error)) return otherwise
      throw unanswered(host, error)
    }
  }

  async function usedFor({ coordinator, owner }: Place, nonce: number) {
    const contract = { address: coordinator, abi: eip712CoordinatorAbi } as const
    const [id, isInvalidated] = await Promise.all([
      ask(
        () =>
          chain.readContract({
            ...contract,
            functionName: 'delegateCreatedIds',
            args: [delegationKey(owner, nonce)],
          }),
        null,
      ),
      // The first deployments' coordinators know no such thing.
      ask(
        () => chain.readContract({ ...contract, functionName: 'isNonceInvalidated', args: [owner, nonce] }),
        false,
      ),
    ])
    if (id === null) throw invalid(`There is no coordinator at ${coordinator}`)
    if (isInvalidated) return 'invalidated'
    return id === 0 ? null : id
  }

  return {
    chainId: () =>
      chain.getChainId().catch(cause => {
        throw unanswered(host, cause)
      }),
    usedFor,
    async signerOf(owner) {
      const signer = await ask(
        () => chain.readContract({ address: owner, abi: delegatorAbi, functionName: 'getSigner' }),
        null,
      )
      if (signer === null) throw invalid(`The owner ${owner} is no Delegator: it has no getSigner()`)
      const code = await ask(() => chain.getCode({ address: signer }), undefined)
      return { address: signer, isContract: code !== undefined }
    },
    async unusedNonce(at) {
      for (;;) {
        const [nonce = 0] = crypto.getRandomValues(new Uint32Array(1))
        if ((await usedFor(at, nonce)) === null) return nonce
      }
    },
  }
}

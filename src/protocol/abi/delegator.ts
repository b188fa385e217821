/** Made of the contract Delegator by `npm run abi`. */
export const delegatorAbi = [
  {
    type: 'function',
    name: 'getSigner',
    inputs: [],
    outputs: [{ name: '', type: 'address', internalType: 'address' }],
    stateMutability: 'view',
  },
  {
    type: 'event',
    name: 'SignerUpdated',
    inputs: [{ name: 'signer', type: 'address', indexed: false, internalType: 'address' }],
    anonymous: false,
  },
] as const

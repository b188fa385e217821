/** Made of the contract Registry by `npm run abi`. */
export const registryAbi = [
  {
    type: 'constructor',
    inputs: [
      { name: 'coordinator', type: 'address', internalType: 'address' },
      { name: 'inbox', type: 'address', internalType: 'address' },
      { name: 'reader', type: 'address', internalType: 'address' },
      { name: 'fee', type: 'address', internalType: 'address' },
      { name: 'walletFactory', type: 'address', internalType: 'address' },
    ],
    stateMutability: 'nonpayable',
  },
  {
    type: 'function',
    name: 'COORDINATOR',
    inputs: [],
    outputs: [{ name: '', type: 'address', internalType: 'address' }],
    stateMutability: 'view',
  },
  {
    type: 'function',
    name: 'FEE',
    inputs: [],
    outputs: [{ name: '', type: 'address', internalType: 'address' }],
    stateMutability: 'view',
  },
  {
    type: 'function',
    name: 'INBOX',
    inputs: [],
    outputs: [{ name: '', type: 'address', internalType: 'address' }],
    stateMutability: 'view',
  },
  {
    type: 'function',
    name: 'READER',
    inputs: [],
    outputs: [{ name: '', type: 'address', internalType: 'address' }],
    stateMutability: 'view',
  },
  {
    type: 'function',
    name: 'WALLET_FACTORY',
    inputs: [],
    outputs: [{ name: '', type: 'address', internalType: 'address' }],
    stateMutability: 'view',
  },
] as const

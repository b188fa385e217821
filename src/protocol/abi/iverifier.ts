/** Made of the contract IVerifier by `npm run abi`. */
export const iVerifierAbi = [
  { type: 'receive', stateMutability: 'payable' },
  {
    type: 'function',
    name: 'fee',
    inputs: [{ name: 'token', type: 'address', internalType: 'address' }],
    outputs: [{ name: '', type: 'uint256', internalType: 'uint256' }],
    stateMutability: 'view',
  },
  {
    type: 'function',
    name: 'getWallet',
    inputs: [],
    outputs: [{ name: '', type: 'address', internalType: 'address' }],
    stateMutability: 'view',
  },
  {
    type: 'function',
    name: 'isSupportedToken',
    inputs: [{ name: 'token', type: 'address', internalType: 'address' }],
    outputs: [{ name: '', type: 'bool', internalType: 'bool' }],
    stateMutability: 'view',
  },
  {
    type: 'function',
    name: 'requestProofVerification',
    inputs: [
      { name: 'subscriptionId', type: 'uint32', internalType: 'uint32' },
      { name: 'interval', type: 'uint32', internalType: 'uint32' },
      { name: 'node', type: 'address', internalType: 'address' },
      { name: 'proof', type: 'bytes', internalType: 'bytes' },
    ],
    outputs: [],
    stateMutability: 'nonpayable',
  },
] as const

/** Made of the contract WalletFactory by `npm run abi`. */
export const walletFactoryAbi = [
  {
    type: 'constructor',
    inputs: [{ name: 'registry', type: 'address', internalType: 'contract Registry' }],
    stateMutability: 'nonpayable',
  },
  {
    type: 'function',
    name: 'areValidWallets',
    inputs: [
      { name: 'first', type: 'address', internalType: 'address' },
      { name: 'second', type: 'address', internalType: 'address' },
    ],
    outputs: [{ name: '', type: 'bool', internalType: 'bool' }],
    stateMutability: 'view',
  },
  {
    type: 'function',
    name: 'createWallet',
    inputs: [{ name: 'initialOwner', type: 'address', internalType: 'address' }],
    outputs: [{ name: 'wallet', type: 'address', internalType: 'address' }],
    stateMutability: 'nonpayable',
  },
  {
    type: 'function',
    name: 'createWalletDeterministic',
    inputs: [
      { name: 'initialOwner', type: 'address', internalType: 'address' },
      { name: 'salt', type: 'bytes32', internalType: 'bytes32' },
    ],
    outputs: [{ name: 'wallet', type: 'address', internalType: 'address' }],
    stateMutability: 'nonpayable',
  },
  {
    type: 'function',
    name: 'implementation',
    inputs: [],
    outputs: [{ name: '', type: 'address', internalType: 'address' }],
    stateMutability: 'view',
  },
  {
    type: 'function',
    name: 'isValidWallet',
    inputs: [{ name: 'wallet', type: 'address', internalType: 'address' }],
    outputs: [{ name: 'valid', type: 'bool', internalType: 'bool' }],
    stateMutability: 'view',
  },
  {
    type: 'function',
    name: 'predictWallet',
    inputs: [
      { name: 'caller', type: 'address', internalType: 'address' },
      { name: 'initialOwner', type: 'address', internalType: 'address' },
      { name: 'salt', type: 'bytes32', internalType: 'bytes32' },
    ],
    outputs: [{ name: '', type: 'address', internalType: 'address' }],
    stateMutability: 'view',
  },
  {
    type: 'event',
    name: 'WalletCreated',
    inputs: [
      { name: 'caller', type: 'address', indexed: true, internalType: 'address' },
      { name: 'owner', type: 'address', indexed: true, internalType: 'address' },
      { name: 'wallet', type: 'address', indexed: false, internalType: 'address' },
    ],
    anonymous: false,
  },
  { type: 'error', name: 'NoImplementation', inputs: [] },
  { type: 'error', name: 'WalletExists', inputs: [] },
] as const

/** Made of the contract Inbox by `npm run abi`. */
export const inboxAbi = [
  {
    type: 'constructor',
    inputs: [{ name: 'registry', type: 'address', internalType: 'contract Registry' }],
    stateMutability: 'nonpayable',
  },
  { type: 'function', name: 'blob', inputs: [], outputs: [], stateMutability: 'view' },
  {
    type: 'function',
    name: 'count',
    inputs: [
      { name: 'containerId', type: 'bytes32', internalType: 'bytes32' },
      { name: 'node', type: 'address', internalType: 'address' },
    ],
    outputs: [{ name: 'items', type: 'uint256', internalType: 'uint256' }],
    stateMutability: 'view',
  },
  {
    type: 'function',
    name: 'items',
    inputs: [
      { name: 'containerId', type: 'bytes32', internalType: 'bytes32' },
      { name: 'node', type: 'address', internalType: 'address' },
      { name: 'index', type: 'uint256', internalType: 'uint256' },
    ],
    outputs: [
      { name: 'timestamp', type: 'uint32', internalType: 'uint32' },
      { name: 'subscriptionId', type: 'uint32', internalType: 'uint32' },
      { name: 'interval', type: 'uint32', internalType: 'uint32' },
      { name: 'input', type: 'bytes', internalType: 'bytes' },
      { name: 'output', type: 'bytes', internalType: 'bytes' },
      { name: 'proof', type: 'bytes', internalType: 'bytes' },
    ],
    stateMutability: 'view',
  },
  {
    type: 'function',
    name: 'read',
    inputs: [
      { name: 'containerId', type: 'bytes32', internalType: 'bytes32' },
      { name: 'node', type: 'address', internalType: 'address' },
      { name: 'index', type: 'uint256', internalType: 'uint256' },
    ],
    outputs: [
      {
        name: 'item',
        type: 'tuple',
        internalType: 'struct InboxItem',
        components: [
          { name: 'timestamp', type: 'uint32', internalType: 'uint32' },
          { name: 'subscriptionId', type: 'uint32', internalType: 'uint32' },
          { name: 'interval', type: 'uint32', internalType: 'uint32' },
          { name: 'input', type: 'bytes', internalType: 'bytes' },
          { name: 'output', type: 'bytes', internalType: 'bytes' },
          { name: 'proof', type: 'bytes', internalType: 'bytes' },
        ],
      },
    ],
    stateMutability: 'view',
  },
  {
    type: 'function',
    name: 'write',
    inputs: [
      { name: 'containerId', type: 'bytes32', internalType: 'bytes32' },
      { name: 'input', type: 'bytes', internalType: 'bytes' },
      { name: 'output', type: 'bytes', internalType: 'bytes' },
      { name: 'proof', type: 'bytes', internalType: 'bytes' },
    ],
    outputs: [{ name: '', type: 'uint256', internalType: 'uint256' }],
    stateMutability: 'nonpayable',
  },
  {
    type: 'function',
    name: 'writeViaCoordinator',
    inputs: [
      { name: 'containerId', type: 'bytes32', internalType: 'bytes32' },
      { name: 'node', type: 'address', internalType: 'address' },
      { name: 'subscriptionId', type: 'uint32', internalType: 'uint32' },
      { name: 'interval', type: 'uint32', internalType: 'uint32' },
      { name: 'input', type: 'bytes', internalType: 'bytes' },
      { name: 'output', type: 'bytes', internalType: 'bytes' },
      { name: 'proof', type: 'bytes', internalType: 'bytes' },
    ],
    outputs: [{ name: '', type: 'uint256', internalType: 'uint256' }],
    stateMutability: 'nonpayable',
  },
  {
    type: 'event',
    name: 'NewInboxItem',
    inputs: [
      { name: 'containerId', type: 'bytes32', indexed: true, internalType: 'bytes32' },
      { name: 'node', type: 'address', indexed: true, internalType: 'address' },
      { name: 'index', type: 'uint256', indexed: false, internalType: 'uint256' },
    ],
    anonymous: false,
  },
  { type: 'error', name: 'NotCoordinator', inputs: [] },
] as const

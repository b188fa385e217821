/** Made of the contract IConsumer by `npm run abi`. */
export const iConsumerAbi = [
  {
    type: 'function',
    name: 'getContainerInputs',
    inputs: [
      { name: 'subscriptionId', type: 'uint32', internalType: 'uint32' },
      { name: 'interval', type: 'uint32', internalType: 'uint32' },
      { name: 'timestamp', type: 'uint32', internalType: 'uint32' },
      { name: 'caller', type: 'address', internalType: 'address' },
    ],
    outputs: [{ name: '', type: 'bytes', internalType: 'bytes' }],
    stateMutability: 'view',
  },
  {
    type: 'function',
    name: 'rawReceiveCompute',
    inputs: [
      { name: 'subscriptionId', type: 'uint32', internalType: 'uint32' },
      { name: 'interval', type: 'uint32', internalType: 'uint32' },
      { name: 'redundancy', type: 'uint16', internalType: 'uint16' },
      { name: 'node', type: 'address', internalType: 'address' },
      { name: 'input', type: 'bytes', internalType: 'bytes' },
      { name: 'output', type: 'bytes', internalType: 'bytes' },
      { name: 'proof', type: 'bytes', internalType: 'bytes' },
      { name: 'containerId', type: 'bytes32', internalType: 'bytes32' },
      { name: 'index', type: 'uint256', internalType: 'uint256' },
    ],
    outputs: [],
    stateMutability: 'nonpayable',
  },
] as const

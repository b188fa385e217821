/** Version of this node, as `/info` tells it. */
export const version = '0.1.0'

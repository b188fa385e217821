/** Told to the edge and to containers. */
export const version = '0.1.0'

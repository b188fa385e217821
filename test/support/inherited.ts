const { PATH = '', NODE_COMPILE_CACHE = '' } = process.env

/** What a program of ours that is tested is given of the test's own environment: where programs are, and what Node has compiled before. */
export const inherited: Readonly<Record<string, string>> = { PATH, NODE_COMPILE_CACHE }

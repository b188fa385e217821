/** What a program of ours that is tested is given of the test's own environment: where programs are, and what Node has compiled before. */
export function inherited(): Record<string, string> {
  const { PATH = '', NODE_COMPILE_CACHE = '' } = process.env
  return { PATH, NODE_COMPILE_CACHE }
}

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** The long version, with its commit. To ask the compiler costs a quarter of a second, on each call of forge. */
export function readVersion(cache) {
  const key = `version of npm's ${require('solc/package.json').version}`
  const known = cache?.read(key)
  if (known !== undefined) return known
  const version = require('solc').version()
  cache?.write(key, version)
  return version
}

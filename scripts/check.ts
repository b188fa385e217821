import { spawnSync } from 'node:child_process'

/** `npm run check`: every check that is not a test, all of them even if one fails. */
const checks = [
  'check:types',
  'check:lint',
  'check:imports',
  'check:schema',
  'check:contracts',
  'check:deploy',
]
const failed = checks.filter(check => {
  console.log(`\n== ${check}`)
  return spawnSync('npm', ['run', '--silent', check], { stdio: 'inherit' }).status !== 0
})
console.log(failed.length === 0 ? '\nAll checks pass.' : `\nFailed: ${failed.join(', ')}`)
process.exit(failed.length === 0 ? 0 : 1)

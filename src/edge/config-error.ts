/** The edge's configuration cannot be used. Its problems name vars and keys, never values, which may be secrets. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`The edge's configuration is not usable.\n${problems.map(line => `- ${line}`).join('\n')}`)
    this.problems = problems
  }
}

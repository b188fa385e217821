import { type ExecFileException, execFile } from 'node:child_process'
import * as v from 'valibot'

/** A token in place of a password has this for its user's name. */
const tokenUser = '<token>'
/** One that unlocks a key chain, or fetches a token from a cloud, takes seconds; one that asks a person never ends. */
const answerMs = 10_000
/** Some registries' tokens have several KiB. */
const maxBytes = 64 * 1024

const Answer = v.object({ Username: v.string(), Secret: v.string() })

export type Credentials = { username: string; password: string } | { identitytoken: string }

export type HelperOptions = {
  /** `docker-credential-<name>` is run. */
  name: string
  registry: string
  signal: AbortSignal
  timeoutMs?: number
}

/**
 * Asks a credential helper of Docker's (github.com/docker/docker-credential-helpers: the registry on its input, JSON on its output). Null: it
 * has none for the registry.
 * @throws Error with what is wrong, and nothing of what it said, which may be a secret; the signal's reason.
 */
export async function askHelper(options: HelperOptions): Promise<Credentials | null> {
  const { name } = options
  const program = `docker-credential-${name}`
  // It is looked for on the path, and nowhere else.
  if (!/^[\w.-]+$/.test(name)) throw new Error(`${program} is no name of a credential helper`)
  const text = await run(program, options)
  if (text === null) return null
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), Answer), text)
  if (!parsed.success) throw new Error(`${program} has not answered as a credential helper does`)
  const { Username: username, Secret: secret } = parsed.output
  if (secret === '') return null
  return username === tokenUser ? { identitytoken: secret } : { username, password: secret }
}

function run(
  program: string,
  { registry, signal, timeoutMs = answerMs }: HelperOptions,
): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const bounds = { signal, timeout: timeoutMs, maxBuffer: maxBytes, killSignal: 'SIGKILL' } as const
    const child = execFile(program, ['get'], bounds, (error, stdout) => {
      if (error === null) resolve(stdout)
      else if (signal.aborted) reject(signal.reason)
      // The protocol has no code for it, only these words.
      else if (/^credentials not found/i.test(stdout)) resolve(null)
      else reject(new Error(`${program} ${failureOf(error, timeoutMs)}`))
    })
    // It may end without having read all: its exit says why.
    child.stdin?.on('error', () => {})
    child.stdin?.end(registry)
  })
}

/** Without the text of the error, which has what the helper wrote. */
function failureOf({ code, killed, signal }: ExecFileException, timeoutMs: number): string {
  // Node's own words for an output beyond its bound, which it kills for as well.
  if (String(code) === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return `has answered more than ${maxBytes} bytes`
  if (String(code) === 'ENOENT') return 'is not installed'
  if (killed === true) return `has not answered within ${timeoutMs / 1000} s`
  return `ended with ${code ?? signal}: by hand, \`get\` with the registry on its input, it says why`
}

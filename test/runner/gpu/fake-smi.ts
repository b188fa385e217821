import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, vi } from 'vitest'

/** One line as the driver writes it. */
export function gpuLine(
  index: number,
  {
    uuid = `GPU-${index}aaaaaaa-0000-4000-8000-000000000000`,
    name = 'NVIDIA H100 80GB HBM3',
    rest = '81559, 1024, 37, 41',
  } = {},
): string {
  return `${index}, ${uuid}, ${name}, ${rest}, 550.54.15`
}

export const uuidOf = (index: number) => `GPU-${index}aaaaaaa-0000-4000-8000-000000000000`

/** A program called `nvidia-smi`, first on the PATH until the test ends. `says` and `does` choose what the next one does. */
export async function startFakeSmi(lines: readonly string[]) {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-smi-'))
  const behaviour = join(directory, 'behaviour')
  const does = (script: string) => writeFile(behaviour, `${script}\n`)
  const says = (said: readonly string[]) => does(`cat <<'END'\n${said.join('\n')}\nEND`)
  await says(lines)
  const program = join(directory, 'nvidia-smi')
  await writeFile(program, `#!/bin/sh\necho "$@" >> "${directory}/asked"\n. "${behaviour}"\n`)
  await chmod(program, 0o755)
  vi.stubEnv('PATH', `${directory}:${process.env.PATH}`)
  onTestFinished(async () => {
    vi.unstubAllEnvs()
    await rm(directory, { recursive: true, force: true })
  })
  return { directory, asked: join(directory, 'asked'), says, does }
}

import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { removeRules } from './rules.ts'

/** Runs Docker's own command. `host`: another engine than the usual one. */
export function docker(args: string[], host?: string): string {
  const at = host === undefined ? [] : ['-H', host]
  return execFileSync('docker', [...at, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim()
}

/** The real engine. Without one these tests are skipped, but not in CI, where one is promised. */
export const reachable = engineAnswers()
if (!reachable && process.env.CI === 'true') throw new Error('No Docker engine answers, and CI must have one')
if (!reachable) console.log('Docker tests are skipped: no engine answers')

function engineAnswers(): boolean {
  try {
    return docker(['version', '--format', '{{.Server.Version}}']) !== ''
  } catch {
    return false
  }
}

/** An image from nothing: this Node, `sleep`, the libraries they are linked to, and a program. */
export async function buildImage(image: string, program: string, host?: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-image-'))
  const linked = [process.execPath, '/bin/sleep'].flatMap(
    path => execFileSync('ldd', [path], { encoding: 'utf8' }).match(/\/\S+(?= \()/g) ?? [],
  )
  for (const path of new Set(linked)) {
    await mkdir(join(directory, 'root', dirname(path)), { recursive: true })
    await copyFile(path, join(directory, 'root', path))
  }
  await copyFile(process.execPath, join(directory, 'root', 'node'))
  await copyFile('/bin/sleep', join(directory, 'root', 'sleep'))
  await writeFile(join(directory, 'program.js'), program)
  await writeFile(
    join(directory, 'Dockerfile'),
    // The program is a layer of its own: images of one Node share the large one.
    'FROM scratch\nCOPY root /\nCOPY program.js /\nENTRYPOINT ["/node", "/program.js"]\n',
  )
  docker(['build', '-q', '-t', image, directory], host)
  await rm(directory, { recursive: true })
}

/** Removes what runners of these scopes have left: containers, networks, and firewall rules of those that were killed. */
export async function removeContainers(scopes: Iterable<string>): Promise<void> {
  const all = [...scopes]
  for (const scope of all) {
    const filter = ['--filter', `label=infernet.runner=${scope}`]
    const ids = docker(['ps', '-aq', ...filter])
    if (ids !== '') docker(['rm', '-f', '-v', ...ids.split('\n')])
    const networks = docker(['network', 'ls', '-q', ...filter])
    if (networks !== '') docker(['network', 'rm', ...networks.split('\n')])
  }
  await removeRules(all)
}

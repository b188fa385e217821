import { createHash } from 'node:crypto'
import { lstat, readdir, readFile, realpath } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import type { Example } from './examples.ts'
import type { Entry } from './tar.ts'
import type { Weights } from './weights.ts'

/** What an image is made of, apart from installed packages: the same list for hashing and for building. */
export async function sourceFiles({ folder }: Example): Promise<string[]> {
  const names = await readdir(folder)
  return names.filter(isSource).sort()
}

function isSource(name: string): boolean {
  if (name === 'sample.js') return false
  return /\.js$|^package(-lock)?\.json$|^Dockerfile$|^\.npmrc$|^\.dockerignore$/.test(name)
}

/** Where the weights of an example lie in its folder, and in its image: its server takes what it finds there. */
export function weightsPath({ path }: Weights): string {
  return `models/${basename(path)}`
}

/** Names the state of everything that goes into an image, so that an image made of the same is not made again. */
export async function hashInputs(example: Example, recipe: string): Promise<string> {
  const hash = createHash('sha256').update(`${recipe}\0${process.version}\0${process.arch}\0`)
  for (const name of await sourceFiles(example)) {
    const content = await readFile(join(example.folder, name))
    hash.update(`${name}\0${content.length}\0`).update(content)
  }
  if (example.weights) hash.update(`${weightsPath(example.weights)}\0${example.weights.sha256}\0`)
  return hash.digest('hex')
}

/** A file of this machine as an archive entry at `path`. */
export async function packFile(file: string, path: string): Promise<Entry> {
  const target = await realpath(file)
  const { size, mode } = await lstat(target)
  return { path, mode: mode & 0o111 ? 0o755 : 0o644, file: target, bytes: size }
}

/** All regular files below `folder` that `keep` accepts, as archive entries below `path`. Links are left out. */
export async function packFolder(options: {
  folder: string
  path: string
  keep(relativePath: string): boolean
}): Promise<Entry[]> {
  const found = await readdir(options.folder, { recursive: true, withFileTypes: true })
  const files = found
    .filter(entry => entry.isFile())
    .map(entry => relative(options.folder, join(entry.parentPath, entry.name)))
    .filter(options.keep)
    .sort()
  return await Promise.all(files.map(file => packFile(join(options.folder, file), `${options.path}/${file}`)))
}

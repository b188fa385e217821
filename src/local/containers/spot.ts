import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Engine } from '../../runner/docker/engine.ts'
import { build, isBuiltFrom } from './build.ts'
import type { Example } from './examples.ts'
import { packFile, packFolder, sourceFiles, weightsPath } from './files.ts'
import { sharedLibraries } from './libraries.ts'
import { withLock } from './lock.ts'
import type { Entry } from './tar.ts'

const baseImage = 'infernet-edge/node:local'

/**
 * Builds an image without any registry: this machine's Node, its shared libraries, and the example with the packages
 * that are installed beside it. Node is a layer of its own that all examples share.
 */
export async function buildOnTheSpot(engine: Engine, example: Example, inputs: string): Promise<void> {
  if (process.platform !== 'linux')
    throw new Error(`images cannot be made of this machine's Node on ${process.platform}`)
  // Otherwise two examples that are built at once would build it twice.
  const libraries = await withLock('node-image', () => ensureBase(engine))
  const natives = await findNatives(example.folder)
  const modules = join(example.folder, 'node_modules')
  const needed = (await sharedLibraries(natives, modules)).filter(path => !libraries.includes(path))
  const sources = await sourceFiles(example)
  const entries: Entry[] = [
    dockerfile([`FROM ${baseImage}`, 'COPY root/ /', 'WORKDIR /app', 'CMD ["/bin/node", "server.js"]']),
    ...(await Promise.all(needed.map(path => packFile(path, `root${path}`)))),
    ...(await Promise.all(
      sources
        .filter(name => /\.js$|^package\.json$/.test(name))
        .map(name => packFile(join(example.folder, name), `root/app/${name}`)),
    )),
    ...(example.packages
      ? await packFolder({ folder: modules, path: 'root/app/node_modules', keep: isNeededAtRunTime })
      : []),
    ...(example.weights
      ? [await packFile(example.weights.path, `root/app/${weightsPath(example.weights)}`)]
      : []),
  ]
  await build(engine, { image: example.image, inputs, entries })
}

/** @returns the libraries in the base image */
async function ensureBase(engine: Engine): Promise<string[]> {
  const libraries = await sharedLibraries([process.execPath])
  const inputs = createHash('sha256')
    .update(`1\0${process.version}\0${process.arch}\0${libraries}`)
    .digest('hex')
  if (await isBuiltFrom(engine, baseImage, inputs)) return libraries
  const entries: Entry[] = [
    dockerfile([
      'FROM scratch',
      'COPY root/ /',
      'ENV PATH=/bin NODE_ENV=production',
      'USER 1000:1000',
      'EXPOSE 3000',
    ]),
    { path: 'root', mode: 0o755, folder: true },
    { path: 'root/tmp', mode: 0o1777, folder: true },
    await packFile(process.execPath, 'root/bin/node'),
    ...(await Promise.all(libraries.map(path => packFile(path, `root${path}`)))),
  ]
  await build(engine, { image: baseImage, inputs, entries })
  return libraries
}

function dockerfile(lines: string[]): Entry {
  return { path: 'Dockerfile', mode: 0o644, content: Buffer.from(`${lines.join('\n')}\n`) }
}

async function findNatives(folder: string): Promise<string[]> {
  const files = await readdir(folder, { recursive: true })
  return files
    .filter(path => /\.node$|\.so(\.\d+)*$/.test(path) && isForThisMachine(path))
    .map(path => join(folder, path))
}

/**
 * onnxruntime ships its libraries for every platform in one package, 240 MB for other machines; of llama.cpp's, npm
 * installs those for other processors too.
 */
function isForThisMachine(path: string): boolean {
  const platform =
    /\/bin\/napi-v\d+\/(\w+)\/(\w+)\//.exec(path) ?? /(?:^|\/)@node-llama-cpp\/(\w+)-(\w+)\//.exec(path)
  return platform === null || (platform[1] === process.platform && platform[2] === process.arch)
}

function isNeededAtRunTime(path: string): boolean {
  return (
    isForThisMachine(path) && !/\.(map|d\.[cm]?ts|md|bundle)$|(^|\/)\.(bin\/|package-lock\.json)/.test(path)
  )
}

import { DownError } from '../cause.ts'
import type { Config, Container } from '../config/config.ts'
import type { Log } from '../log.ts'
import { messageOf } from '../trouble.ts'
import { credentialsFor } from './credentials.ts'
import type { Engine } from './engine.ts'
import { type FoundImage, findImage } from './find-image.ts'
import { type Progress, pull } from './pull.ts'
import { splitReference } from './reference.ts'

export type ImageOptions = {
  container: Container
  config: Pick<Config, 'docker' | 'dockerConfig'>
  log: Log
  /** Now and then, while it is pulled. */
  onProgress: (text: string) => void
  signal: AbortSignal
}

/** `name`: by which others can have the same image, where a registry has it, else the id of this engine. */
export type EnsuredImage = { id: string; name: string }

const tellEveryMs = 5_000

/**
 * Makes sure that the image is here. It is pulled when it is absent, or always if the container says so; when that fails a local copy will
 * do, as in the reference.
 * @throws DownError `image_pull_failed`
 */
export async function ensureImage(engine: Engine, options: ImageOptions): Promise<EnsuredImage> {
  const { container, log } = options
  const { image } = container
  const local = await findImage(engine, image)
  if (local !== null && container.pull === 'missing') return named(image, local)
  try {
    await pullInTime(engine, options)
  } catch (error) {
    if (local === null)
      throw new DownError('image_pull_failed', `Could not pull image ${image}`, { cause: error })
    log.warn('Could not pull image, using the local copy', { image, error: messageOf(error) })
    return named(image, local)
  }
  const pulled = await findImage(engine, image)
  if (pulled === null) throw new DownError('image_pull_failed', `Image ${image} is not there after its pull`)
  return named(image, pulled)
}

function named(image: string, { id, digests }: FoundImage): EnsuredImage {
  const { name } = splitReference(image)
  return { id, name: digests.find(digest => digest.startsWith(`${name}@`)) ?? digests[0] ?? id }
}

async function pullInTime(
  engine: Engine,
  { container: { image, pullTimeoutMs }, config, log, onProgress, signal }: ImageOptions,
): Promise<void> {
  log.info('Pulling image', { image })
  const auth = await credentialsFor({
    image,
    configured: config.docker,
    dockerConfig: config.dockerConfig,
    onTrouble: error => log.warn('No credentials to be had for a pull, trying without', { image, error }),
    signal,
  })
  const late = AbortSignal.timeout(pullTimeoutMs)
  let toldAt = performance.now()

  function tell({ bytes, totalBytes }: Progress): void {
    if (performance.now() - toldAt < tellEveryMs) return
    toldAt = performance.now()
    const [mib, totalMib] = [bytes, totalBytes].map(value => Math.round(value / 1024 / 1024))
    log.info('Pulling image', { image, mib, total_mib: totalMib })
    onProgress(`pulling its image: ${mib} of ${totalMib} MiB`)
  }

  try {
    await pull(engine, { image, auth, onProgress: tell, signal: AbortSignal.any([signal, late]) })
  } catch (error) {
    throw late.aborted ? new Error(`it took longer than ${pullTimeoutMs / 1000} s`) : error
  }
  log.info('Pulled image', { image })
}

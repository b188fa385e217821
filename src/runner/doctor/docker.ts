import { statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import * as v from 'valibot'
import type { Config, Container } from '../config/config.ts'
import { placeOf } from '../docker/address.ts'
import { inspect, portOf } from '../docker/container.ts'
import { credentialsFor } from '../docker/credentials.ts'
import { type Engine, EngineError } from '../docker/engine.ts'
import { findImage } from '../docker/find-image.ts'
import { askEngine } from '../docker/json.ts'
import { listLabelled } from '../docker/own.ts'
import { scopeOf } from '../docker/scope.ts'
import { nameOf } from '../docker/spec.ts'
import { messageOf } from '../trouble.ts'
import { type Check, ill, well } from './check.ts'
import { gib, tooLittle } from './disk.ts'

export type DockerOptions = { config: Config; engine: Engine; dockerHost: string | undefined }

const timeoutMs = 15_000
/** A model's image is many times that. */
const leastBytes = 5 * 2 ** 30

export function dockerChecks(options: DockerOptions): Check[] {
  const managed = options.config.containers.filter(container => container.managed)
  if (managed.length === 0) return []
  return [
    engineCheck(options),
    ...managed.map(container => imageCheck(options, container)),
    ...(options.config.inDocker ? [] : managed.map(container => portCheck(options, container))),
    roomCheck(options),
  ]
}

function engineCheck({ engine, dockerHost }: DockerOptions): Check {
  return {
    name: 'docker',
    async run() {
      try {
        return well(`engine ${await engine.version()} answers`)
      } catch (error) {
        const where = placeOf(dockerHost)
        return ill(
          `No engine answers at ${where}: ${messageOf(error)}`,
          // One that does not take our certificate hangs up, mostly without a word.
          where.startsWith('tcp:')
            ? 'start Docker, correct DOCKER_HOST, or, with TLS, the certificates of DOCKER_CERT_PATH: the engine hangs up on one that its `--tlscacert` has not signed'
            : 'start Docker, set DOCKER_HOST, or have this user in the group of the socket',
        )
      }
    },
  }
}

/** There, or to be had: the registry is asked, and nothing is pulled. */
function imageCheck({ engine, config }: DockerOptions, { id, image }: Container): Check {
  return {
    name: 'image',
    async run() {
      if ((await findImage(engine, image)) !== null) return well(`${id}: ${image} is here`)
      const troubles: string[] = []
      const onTrouble = (text: string) => void troubles.push(text)
      try {
        const { docker: configured, dockerConfig } = config
        const signal = AbortSignal.timeout(timeoutMs)
        const auth = await credentialsFor({ image, configured, dockerConfig, onTrouble, signal })
        const headers: Record<string, string> = auth === null ? {} : { 'x-registry-auth': auth }
        const path = `/distribution/${image}/json`
        const { body } = await engine.send({ method: 'GET', path, headers, signal })
        await body.dump()
        return well(`${id}: ${image} can be pulled`)
      } catch (error) {
        const why = error instanceof EngineError ? error.message : messageOf(error)
        return ill(
          `${id}: ${image} is neither here nor to be had: ${[why, ...troubles].join('; ')}`,
          'correct its name, build it here, or give credentials in `docker` or with `docker login`',
        )
      }
    },
  }
}

/** One that runs keeps the port that it was made with, wherever the file has it stand by now; so do the others, whether they run or not. */
function portCheck({ engine, config }: DockerOptions, { id, port, wantedPort }: Container): Check {
  const scope = scopeOf(config)
  return {
    name: 'port',
    async run() {
      const own = await inspect(engine, nameOf(scope, id)).catch(() => null)
      const kept = own?.State.Running ? portOf(own) : null
      // Only a `port` that is written for it alone moves it.
      if (kept !== null && (kept === port || port !== wantedPort))
        return well(`${id}: ${kept} is its container's`)
      if (await isFree(port)) return well(`${id}: ${port} is free`)
      const labelled = await listLabelled(engine, scope).catch(() => [])
      if (labelled.some(other => other.id !== id && other.port === port))
        return well(
          kept === null
            ? `${id}: ${port} is another container's, so that it gets a free one`
            : `${id}: ${kept} is its container's`,
        )
      return ill(
        `${id}: port ${port} is taken, so that it ${kept === null ? 'will get another one' : `has ${kept}`}`,
        `end what listens there (ss -ltnp 'sport = :${port}'), or give the container another \`port\``,
      )
    },
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

const Info = v.object({ DockerRootDir: v.string() })

function roomCheck({ engine, config }: DockerOptions): Check {
  return {
    name: 'docker disk',
    async run() {
      const { DockerRootDir: root } = await askEngine(engine, { method: 'GET', path: '/info' }, Info)
      // The engine's files may be another machine's, or not for this user to see.
      const room = await statfs(root).catch(() => null)
      if (room === null) return well(`${root} cannot be seen from here`)
      const free = room.bavail * room.bsize
      const unfit = tooLittle({ what: 'Docker', path: root, free }, config)
      if (unfit !== null) return unfit
      return free >= leastBytes
        ? well(`${gib(free)} free in ${root}`)
        : ill(`Only ${gib(free)} free in ${root}`, 'free some: `docker system df` says what takes it')
    },
  }
}

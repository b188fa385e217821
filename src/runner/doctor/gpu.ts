import * as v from 'valibot'
import type { Gpu } from '../../protocol/host.ts'
import type { Config, Container } from '../config/config.ts'
import type { Engine } from '../docker/engine.ts'
import { askEngine } from '../docker/json.ts'
import { checkGpus } from '../fitness/gpus.ts'
import { type Devices, GpuError, uuidsOf } from '../gpu/devices.ts'
import { createGpus, type Gpus } from '../gpu/gpus.ts'
import { createHostQuery } from '../gpu/host-query.ts'
import { type Check, ill, well } from './check.ts'

const Info = v.object({ Runtimes: v.nullish(v.record(v.string(), v.unknown()), {}) })

export type GpuOptions = { config: Config; engine: Engine; dockerHost: string | undefined }

/** That the GPUs which containers want are there and free, and that Docker can hand them out. */
export function gpuChecks({ config, engine, dockerHost }: GpuOptions): Check[] {
  const managed = config.containers.filter(container => container.managed)
  const users = managed.filter(({ gpu }) => gpu !== false)
  if (users.length === 0) return []
  const gpus = createGpus(createHostQuery({ dockerHost, inDocker: config.inDocker }))
  gpus.configure(managed)
  return [runtimeCheck(engine), ...users.map(container => devicesCheck(gpus, container))]
}

function runtimeCheck(engine: Engine): Check {
  return {
    name: 'gpu',
    async run() {
      const { Runtimes: runtimes } = await askEngine(engine, { method: 'GET', path: '/info' }, Info)
      if ('nvidia' in runtimes) return well('Docker has the nvidia runtime')
      return ill(
        'Docker has no nvidia runtime, and containers want GPUs',
        'install nvidia-container-toolkit, then `nvidia-ctk runtime configure --runtime=docker`, and restart Docker',
      )
    },
  }
}

/** As the runner itself would judge it. */
function devicesCheck(gpus: Gpus, { id }: Container): Check {
  return {
    name: 'gpu',
    async run() {
      const sight = await gpus.look()
      const devices = await gpus.devicesOf({ id }).catch((error: unknown) => {
        if (error instanceof GpuError) return error
        throw error
      })
      if (devices instanceof GpuError)
        return ill(
          `${id}: ${devices.message}`,
          'change its `gpu`, or that of others; `nvidia-smi` lists what there is',
        )
      const given = new Map([[id, devices]])
      const [wrong] = checkGpus({ sight, given, known: gpus.known() })
      if (wrong !== undefined)
        return ill(`${id}: ${wrong.detail}`, 'have `nvidia-smi` list the GPUs: install or reload the driver')
      return well(`${id}: ${namesOf(devices, gpus.seen())}`)
    },
  }
}

function namesOf(devices: Devices, seen: readonly Gpu[]): string {
  const uuids = uuidsOf(devices)
  const own = devices === 'all' ? seen : seen.filter(({ uuid }) => uuids.includes(uuid))
  return own.map(({ index, name }) => `GPU ${index} (${name})`).join(', ') || 'as Docker knows them'
}

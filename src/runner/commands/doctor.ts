import { defineCommand } from 'citty'
import { loadConfig } from '../config/load.ts'
import { ConfigError, type Problem } from '../config/problem.ts'
import { createEngine } from '../docker/engine.ts'
import { checksOf } from '../doctor/checks.ts'
import { type Examined, examine, lineOf } from '../doctor/examine.ts'
import { exitCode } from '../exit.ts'
import { loadKey } from '../key/load.ts'
import { dockerOf } from './docker.ts'
import { configArg } from './run.ts'

export const doctor = defineCommand({
  meta: { name: 'doctor', description: 'Look whether everything is there that this host needs' },
  args: { config: configArg },
  run: async ({ args }) => {
    const found = await examineHost(args.config)
    for (const one of found) console.log(lineOf(one))
    process.exit(found.every(({ ok }) => ok) ? exitCode.ok : exitCode.failure)
  },
})

async function examineHost(path: string | undefined): Promise<Examined[]> {
  const loaded = await loadConfig(process.env, path).catch((error: unknown) => {
    if (error instanceof ConfigError) return error
    throw error
  })
  // Whatever else there is to look at is in the file.
  if (loaded instanceof ConfigError) return toldIn(loaded.problems, 'config')
  const { config, warnings, risks } = loaded
  const containers = `${config.containers.length} container${config.containers.length === 1 ? '' : 's'}`
  const detail = [containers, ...warnings].join('; ')
  const read: Examined[] = [{ name: 'config', ok: true, detail }, ...toldIn(risks, 'config')]
  const docker = await dockerOf(process.env, config).catch((error: unknown) => {
    if (error instanceof ConfigError) return error
    throw error
  })
  if (docker instanceof ConfigError) return [...read, ...toldIn(docker.problems, 'docker')]
  const { dockerHost, dockerTls } = docker
  const engine = createEngine(dockerHost, dockerTls)
  const key = await loadKey(config.edge.keyFile).catch(() => null)
  const found = await examine(checksOf({ config, key, engine, dockerHost }))
  await engine.close()
  return [...read, ...found]
}

function toldIn(problems: readonly Problem[], name: string): Examined[] {
  return problems.map(({ path, what, fix }) => ({
    name,
    ok: false,
    detail: path === '' ? what : `${path}: ${what}`,
    fix,
  }))
}

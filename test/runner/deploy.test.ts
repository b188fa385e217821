import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import {
  chmod,
  chown,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import { exitCode } from '../../src/runner/exit.ts'
import { buildImage } from './docker.ts'
import { setup } from './setup.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const deploy = join(root, 'deploy/runner')
const has = (program: string, ...args: string[]) => spawnSync(program, args).status === 0
const hasEngine = has('docker', 'version')
if (!hasEngine && process.env.CI === 'true') throw new Error('No Docker engine answers, and CI must have one')
const hasSystemd = has('systemd-analyze', '--version')
if (!hasSystemd) console.log('The test of the systemd unit is skipped: there is no systemd-analyze')

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'infernet-deploy-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

/** Seconds that a runner may take to end after a signal, at its defaults: the drain, the last report, what Docker is at, its containers, their rules. */
function longestEndSeconds(): number {
  const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'k' } })
  const { drainTimeoutMs } = parseConfig(source, { path: 'config.json', env: {} }).config
  return drainTimeoutMs / 1000 + 10 + 10 + 30 + 10
}

describe('the systemd unit', () => {
  const read = () => readFile(join(deploy, 'infernet-runner.service'), 'utf8')

  test.skipIf(!hasSystemd)('default: systemd takes it as it is', async () => {
    const unit = await read()
    const path = join(await directory(), 'infernet-runner.service')
    // The command is not installed here; everything else is as it is deployed.
    await writeFile(path, unit.replace('/usr/local/bin/infernet-runner', '/bin/true'))
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' })
    expect({ status, said: stderr.includes('infernet-runner.service') ? stderr : '' }).toEqual({
      status: 0,
      said: '',
    })
    const misspelt = join(await directory(), 'infernet-runner.service')
    await writeFile(misspelt, unit.replace('NoNewPrivileges', 'NoNewPriviliges'))
    expect(spawnSync('systemd-analyze', ['verify', misspelt], { encoding: 'utf8' }).stderr).toContain(
      'NoNewPriviliges',
    )
  })

  test('behavior: a drain and what a restart does not mend end it; everything has the time to end', async () => {
    const unit = await read()
    const valueOfKey = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1]
    expect(valueOfKey('Restart')).toBe('always')
    const { ok, usage, config } = exitCode
    expect(valueOfKey('RestartPreventExitStatus')).toBe(`${ok} ${usage} ${config}`)
    expect(Number(valueOfKey('TimeoutStopSec'))).toBeGreaterThan(longestEndSeconds())
  })

  test('behavior: a reload is the signal at which the configuration is read again', async () => {
    expect(await read()).toContain('\nExecReload=/bin/kill -HUP $MAINPID\n')
  })
})

test('behavior: compose gives a runner the time to end', async () => {
  for (const name of ['compose.yaml', 'compose.rootless.yaml', 'compose.proxy.yaml']) {
    const [, minutes] = /stop_grace_period: (\d+)m/.exec(await readFile(join(deploy, name), 'utf8')) ?? []
    expect(Number(minutes) * 60, name).toBeGreaterThan(longestEndSeconds())
  }
})

/** Programs of this machine with the libraries that they are linked to, npm, and the authorities it trusts: what the Dockerfile needs. */
async function makeBase(path: string): Promise<void> {
  const inside = join(path, 'root')
  const put = async (from: string, to = from) => {
    await mkdir(join(inside, dirname(to)), { recursive: true })
    await copyFile(from, join(inside, to))
    await putLibraries(from)
  }
  const putLibraries = async (from: string) => {
    const linked = spawnSync('ldd', [from], { encoding: 'utf8' }).stdout.match(/\/\S+(?= \()/g) ?? []
    for (const library of linked) {
      await mkdir(join(inside, dirname(library)), { recursive: true })
      await copyFile(library, join(inside, library))
    }
  }
  const which = (program: string) => execFileSync('which', [program], { encoding: 'utf8' }).trim()
  await put(process.execPath, '/usr/bin/node')
  // What every Debian has, and the one native package wants.
  const natives = await readdir(join(root, 'node_modules/@libsql'))
  for (const name of natives.filter(one => one.startsWith('linux-')))
    await putLibraries(join(root, 'node_modules/@libsql', name, 'index.node'))
  await put(which('sh'), '/bin/sh')
  for (const program of ['env', 'install']) await put(which(program), `/usr/bin/${program}`)
  const npm = join(execFileSync('npm', ['root', '--global'], { encoding: 'utf8' }).trim(), 'npm')
  await cp(npm, join(inside, 'usr/lib/npm'), { recursive: true, dereference: true })
  await symlink('/usr/lib/npm/bin/npm-cli.js', join(inside, 'usr/bin/npm'))
  await chmod(join(inside, 'usr/lib/npm/bin/npm-cli.js'), 0o755)
  await mkdir(join(inside, 'tmp'), { recursive: true })
  await chmod(join(inside, 'tmp'), 0o1777)
  const authorities = process.env.NODE_EXTRA_CA_CERTS
  if (authorities) await put(authorities, '/authorities.pem')
  const trust = authorities
    ? 'ENV NODE_EXTRA_CA_CERTS=/authorities.pem npm_config_cafile=/authorities.pem\n'
    : ''
  await writeFile(
    join(path, 'Dockerfile'),
    `FROM scratch\nCOPY root /\nENV PATH=/usr/local/bin:/usr/bin:/bin\n${trust}`,
  )
}

/** Of compose, as options of `docker run`. */
const optionOf: Readonly<Record<string, string>> = {
  user: '--user',
  group_add: '--group-add',
  extra_hosts: '--add-host',
  volumes: '--volume',
  read_only: '--read-only',
  tmpfs: '--tmpfs',
  cap_drop: '--cap-drop',
  security_opt: '--security-opt',
}
/** The test does these itself. */
const doneHere = ['image', 'build', 'restart', 'stop_grace_period']

/** What compose.yaml says of its one service. It is plain enough for no parser of YAML; Docker refuses what is misread. */
function argumentsOf(compose: string): string[] {
  const entries = [...compose.matchAll(/^ {4}(\w+):(.*)\n((?: {6}.*\n)*)/gm)]
  return entries.flatMap(([, key = '', inline = '', block = '']) => {
    if (doneHere.includes(key)) return []
    const option = optionOf[key]
    if (option === undefined) throw new Error(`No option of docker run is known for ${key}`)
    const values =
      inline === ''
        ? [...block.matchAll(/^ {6}- (.*)$/gm)].map(([, value = '']) => value)
        : inline.replace(/[[\]"]/g, '').split(',')
    return values.map(value => `${option}=${value.trim()}`)
  })
}

/** As compose.yaml runs it: a job by a container that it makes by the host's socket, until it is told to end. */
async function runJob(runnerImage: string): Promise<void> {
  const docker = (...args: string[]) =>
    execFileSync('docker', args, { encoding: 'utf8', stdio: 'pipe' }).trim()
  const image = 'infernet-runner-deployed'
  await buildImage(image, readFileSync(fileURLToPath(new URL('./program.js', import.meta.url)), 'utf8'))
  const { directory: state, edge } = await setup()
  const gateway = docker('network', 'inspect', 'bridge', '--format', '{{(index .IPAM.Config 0).Gateway}}')
  const url = `http://host.docker.internal:${await forward(gateway, edge.url)}`
  const config = {
    edge: { url, audience: edge.url, key_file: 'runner.key' },
    manage_containers: true,
    containers: [{ id: 'one', image, port: await freePort(), env: { SAY: 'hi' } }],
  }
  await writeFile(join(state, 'config.json'), JSON.stringify(config))
  for (const path of [state, ...(await readdir(state)).map(name => join(state, name))])
    await chown(path, 1000, 1000)
  const compose = (await readFile(join(deploy, 'compose.yaml'), 'utf8'))
    .replace(/\$\{DOCKER_GID:\?.*?\}/, String((await stat('/var/run/docker.sock')).gid))
    .replace('./state:', `${state}:`)
  const name = `infernet-deploy-${process.pid}`
  onTestFinished(() => void spawnSync('docker', ['rm', '-f', name]))
  docker('run', '--detach', `--name=${name}`, ...argumentsOf(compose), runnerImage)
  expect(JSON.parse(docker('inspect', name))[0].HostConfig).toMatchObject({
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges:true'],
  })
  const { id } = edge.enqueue({ containers: ['one'], data: '{}' })
  const report = await edge.reported(id)
  expect(JSON.parse(report.resultText)).toMatchObject({ container: 'one', output: { said: 'hi' } })
  const made = (...args: string[]) => docker('ps', '--quiet', '--filter', `ancestor=${image}`, ...args)
  onTestFinished(() => void spawnSync('docker', ['rm', '-f', ...made('--all').split('\n')]))
  expect(made()).not.toBe('')
  expect(docker('exec', name, 'infernet-runner', 'status', '--once')).toContain('one')
  docker('stop', '--time=60', name)
  expect([docker('inspect', '--format', '{{.State.ExitCode}}', name), made()]).toEqual(['0', ''])
}

/** What listens on this machine's loopback alone, for containers to reach. @returns the port. */
async function forward(host: string, url: string): Promise<number> {
  const server = createServer(socket => {
    const other = connect(Number(new URL(url).port), '127.0.0.1')
    for (const each of [socket, other]) each.on('error', () => {})
    socket.pipe(other).pipe(socket)
  })
  await new Promise<void>(resolve => server.listen(0, host, resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

test.skipIf(!hasEngine)(
  'behavior: the Dockerfile builds, and its runner is a user of its own with what it needs, and does a job',
  { timeout: 240_000 },
  async () => {
    const docker = (...args: string[]) => execFileSync('docker', args, { encoding: 'utf8', stdio: 'pipe' })
    const images = [`infernet-deploy-base:${process.pid}`, `infernet-deploy-runner:${process.pid}`] as const
    onTestFinished(() => void spawnSync('docker', ['rmi', '-f', ...images]))
    const base = await directory()
    await makeBase(base)
    docker('build', '--quiet', '--tag', images[0], base)

    const context = await directory()
    await copyFile(join(deploy, 'Dockerfile'), join(context, 'Dockerfile'))
    execFileSync(process.execPath, ['scripts/pack.ts', context], { cwd: root })
    await rm(join(context, 'package'), { recursive: true })
    // The host's network: the registry is asked from inside.
    docker('build', '--quiet', '--network=host', `--build-arg=BASE=${images[0]}`, '--tag', images[1], context)

    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    expect(docker('run', '--rm', images[1], '--version').trim()).toBe(version)
    const hardened = ['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--network=none']
    const made = docker(
      'run',
      '--rm',
      ...hardened,
      '--volume=/var/lib/infernet-runner',
      images[1],
      ...['init', '--yes', '--edge=http://127.0.0.1:9'],
    )
    expect(made).toContain('Configuration: /var/lib/infernet-runner/config.json')
    const [inspected] = JSON.parse(docker('inspect', images[1]))
    expect(inspected.Config).toMatchObject({ User: '1000:1000', StopSignal: 'SIGTERM', Cmd: ['run'] })
    await runJob(images[1])
  },
)

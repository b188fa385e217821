import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { docker } from './docker.ts'

export const labImage = `infernet-runner-lab:${process.pid}`

/** What a container of the lab is asked to try, and what it says of it. */
export type Attempt =
  | { try: 'connect'; host: string; port: number }
  | { try: 'ask'; host: string; port: number; path: string; token?: string }
  | { try: 'hammer'; host: string; port: number; ms: number }
  | { try: 'talk'; host: string; port: number }
  | { try: 'resolve'; name: string; server?: string }
  | { try: 'fill'; bytes: number; path: string; hang?: boolean }
  | { try: 'find'; path: string }
  | { try: 'read'; path: string }

/**
 * Runs inside. `connect` is `open` once bytes of an HTTP server have come, else an error's code; `ask` is what such a server says. `hammer` connects again and again. `talk` sends
 * to who sends all back, until nothing comes. `read` is a file's text, else an error's code.
 */
const script = `
const fs = require('node:fs')
const http = require('node:http')
const net = require('node:net')
const { Resolver } = require('node:dns').promises
process.on('SIGTERM', () => process.exit(0))
const codeOf = error => error.code || String(error)
const get = (options, take) => new Promise(resolve => {
  const request = http.get({ ...options, timeout: 1500 }, response => resolve(take(response)))
  request.on('timeout', () => request.destroy(Object.assign(new Error(), { code: 'silent' })))
  request.on('error', error => resolve(codeOf(error)))
})
const attempts = {
  connect: ({ host, port }) => get({ host, port }, response => { response.resume(); return 'open' }),
  ask: ({ host, port, path, token = '' }) => get(
    { host, port, path, headers: { authorization: 'Bearer ' + token } },
    async response => (await response.setEncoding('utf8').toArray()).join(''),
  ),
  async hammer({ host, port, ms }) {
    const said = { open: 0, others: 0 }
    const one = () => new Promise(resolve => {
      const socket = net.connect({ host, port, timeout: 50 })
      const end = what => { said[what]++; socket.destroy(); resolve() }
      socket.on('connect', () => end('open')).on('timeout', () => end('others')).on('error', () => end('others'))
    })
    const until = Date.now() + ms
    const lane = async () => { while (Date.now() < until) { await one(); await new Promise(setImmediate) } }
    await Promise.all([lane(), lane(), lane(), lane()])
    return said
  },
  talk: ({ host, port }) => new Promise(resolve => {
    const socket = net.connect({ host, port, timeout: 1500 })
    socket.on('connect', () => socket.write('x')).on('data', () => setTimeout(() => socket.write('x'), 20))
    socket.on('timeout', () => { socket.destroy(); resolve('cut off') }).on('error', () => resolve('cut off'))
  }),
  async resolve({ name, server }) {
    const resolver = new Resolver({ timeout: 1000, tries: 1 })
    if (server) resolver.setServers([server])
    return await resolver.resolve4(name).then(found => found[0], codeOf)
  },
  async fill({ bytes, path, hang }) {
    try {
      const file = fs.openSync(path, 'w')
      for (let written = 0; written < bytes; written += 65536) fs.writeSync(file, Buffer.alloc(65536, 1))
      fs.closeSync(file)
    } catch (error) { return codeOf(error) }
    return hang ? new Promise(() => {}) : 'written'
  },
  find: async ({ path }) => fs.existsSync(path),
  read: async ({ path }) => fs.readFileSync(path, 'utf8'),
}
http.createServer((request, response) => {
  let body = ''
  request.on('data', chunk => { body += chunk }).on('end', async () => {
    const asked = body === '' ? null : JSON.parse(body)
    const attempt = asked && (asked.data || asked)
    const said = attempt && attempt.try ? await attempts[attempt.try](attempt).catch(codeOf) : 'here'
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ said }))
  })
}).listen(3000, '::').on('error', () => process.exit(1))
`

/** An image from nothing: this Node, the libraries it is linked to, and the script. */
export async function buildLab(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-lab-'))
  const root = join(directory, 'root')
  const linked = execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).match(/\/\S+(?= \()/g) ?? []
  for (const path of linked) {
    await mkdir(join(root, dirname(path)), { recursive: true })
    await copyFile(path, join(root, path))
  }
  await mkdir(join(root, 'data'))
  await copyFile(process.execPath, join(root, 'node'))
  await writeFile(join(root, 'lab.js'), script)
  await writeFile(
    join(directory, 'Dockerfile'),
    'FROM scratch\nCOPY root /\nENTRYPOINT ["/node", "/lab.js"]\n',
  )
  docker(['build', '-q', '-t', labImage, directory])
  await rm(directory, { recursive: true })
}

/** Has a container of the lab try something. */
export async function attempt(baseUrl: string, wanted: Attempt): Promise<unknown> {
  const answer = await fetch(`${baseUrl}/service_output`, { method: 'POST', body: JSON.stringify(wanted) })
  return ((await answer.json()) as { said: unknown }).said
}

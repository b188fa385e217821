// What runs in the containers of these tests: a server that behaves as it is told, by its environment while it starts and by `data.do` of a
// job afterwards.
const { spawn } = require('node:child_process')
const { writeFileSync } = require('node:fs')
const { createServer } = require('node:http')
const { BOOT = 'well', SAY = '' } = process.env

process.on('SIGTERM', () => BOOT !== 'deaf' && process.exit(0))

const json = (response, value, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))

const acts = {
  echo: (data, response) => json(response, { said: SAY, data }),
  exit(data) {
    console.log(`the last words of ${data.name}`)
    process.exit(data.code ?? 3)
  },
  speak(data) {
    for (const line of data.lines) console.log(line)
    process.exit(3)
  },
  oom() {
    const held = []
    for (;;) held.push(Buffer.alloc(8 * 1024 * 1024, 1))
  },
  worker(_, response) {
    const eat = 'const held = []; for (;;) held.push(Buffer.alloc(8 * 1024 * 1024, 1))'
    const child = spawn(process.execPath, ['-e', eat], { stdio: 'ignore' })
    child.on('exit', (_code, signal) => json(response, { signal }))
  },
  async fork(data, response) {
    let alive = 0
    for (let made = 0; made < data.count; made++)
      await new Promise(resolve => {
        const child = spawn('/sleep', ['1000'], { stdio: 'ignore' }).on('spawn', () => resolve(alive++))
        // Who does not listen for an error dies of it.
        if (!data.careless) child.on('error', resolve)
      })
    json(response, { said: SAY, alive })
  },
  html: (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Hello</h1>'),
  refuse: (_, response) => json(response, { no: 'x'.repeat(5_000) }, 500),
  huge(_, response) {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.write('"')
    const piece = 'x'.repeat(1024 * 1024)
    let left = 100
    const more = () => {
      if (response.destroyed) return
      if (left-- === 0) response.end('"')
      else response.write(piece, more)
    }
    more()
  },
  never() {},
  fill: data => writeFileSync('/filled', Buffer.alloc(data.bytes, 1)),
  flood(data, response) {
    const line = 'x'.repeat(1000)
    let left = data.lines
    // Answered once all of it has gone to the engine.
    const more = () => {
      const lines = Math.min(1000, left)
      left -= lines
      const next = left > 0 ? more : () => json(response, { said: SAY })
      if (process.stdout.write(`${line}\n`.repeat(lines))) setImmediate(next)
      else process.stdout.once('drain', next)
    }
    more()
  },
  wait: (data, response) => setTimeout(() => json(response, { said: SAY }), data.ms),
}

let loading = BOOT === 'loading'
const server = createServer((request, response) => {
  if (BOOT === 'mute') return
  if (loading) return response.writeHead(503).end()
  let body = ''
  request
    .on('data', chunk => {
      body += chunk
    })
    .on('end', () => {
      if (request.method === 'GET') return response.writeHead(404).end()
      const { data } = JSON.parse(body)
      console.log(`does ${data.name ?? 'something'}`)
      acts[data.do ?? 'echo'](data, response)
    })
})
if (BOOT === 'crash') {
  console.error('cannot start')
  process.exit(7)
}
setTimeout(() => server.listen(3000), BOOT === 'slow' ? 700 : 0)
if (BOOT === 'loads') {
  loading = true
  setTimeout(() => {
    loading = false
  }, 1_200)
}

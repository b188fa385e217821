import { parseArgs } from 'node:util'
import { startLibsqlServer } from './server.ts'

const { values } = parseArgs({
  options: {
    path: { type: 'string' },
    port: { type: 'string', default: '0' },
    host: { type: 'string', default: '127.0.0.1' },
    synchronous: { type: 'string', default: 'FULL' },
  },
})
const { path, synchronous } = values
const port = Number(values.port)
const token = process.env.LIBSQL_TOKEN

if (path === undefined || !Number.isInteger(port) || (synchronous !== 'FULL' && synchronous !== 'NORMAL')) {
  console.error('usage: main.ts --path <file> [--port n] [--host address] [--synchronous FULL|NORMAL]')
  process.exit(2)
}

const server = await startLibsqlServer({
  path,
  port,
  host: values.host,
  synchronous,
  ...(token ? { token } : {}),
})
console.log(server.url)

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void server.close())

import { createServer } from 'node:http'

/** A container that does nothing but tell when it was called (nanoseconds of this machine's monotonic clock), as fast as Node can. */
const server = createServer((request, response) => {
  const at = process.hrtime.bigint()
  request.resume()
  request.on('end', () => {
    const body = `{"at":"${at}"}`
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    response.end(body)
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address) console.log(`http://127.0.0.1:${address.port}`)
})
process.on('SIGTERM', () => process.exit(0))

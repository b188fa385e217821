import { createServer } from 'node:http'

/** A container that answers with the `data` that it was sent, byte for byte. */
const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', chunk => chunks.push(chunk))
  request.on('end', () => {
    const body = Buffer.concat(chunks)
    const from = body.indexOf('"data": ') + '"data": '.length
    const to = body.lastIndexOf(', "requires_proof"')
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(body.subarray(from, to))
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address) console.log(`http://127.0.0.1:${address.port}`)
})
process.on('SIGTERM', () => process.exit(0))

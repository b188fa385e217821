// What runs in the containers of the soak. Each does its step of a job, hands the rest on, and writes into a ledger that outlives it what it
// was asked and what it answered.
const { appendFileSync } = require('node:fs')
const { createServer } = require('node:http')
const { NAME } = process.env

process.on('SIGTERM', () => process.exit(0))

const note = (what, name) =>
  appendFileSync(`/ledger/${NAME}`, `${JSON.stringify({ what, name, container: NAME, at: Date.now() })}\n`)

const json = (response, value, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))

function stream({ name }, response, { pieces, everyMs }) {
  response.writeHead(200, { 'content-type': 'text/plain' })
  let piece = 0
  const more = () => {
    if (response.destroyed) return
    response.write(`${name} ${piece++}\n`)
    if (piece < pieces) return setTimeout(more, everyMs)
    note('answered', name)
    response.end()
  }
  more()
}

const acts = {
  answer(data, response) {
    const { steps, trail } = data
    note('answered', data.name)
    json(response, { ...data, steps: steps.slice(1), trail: [...trail, NAME] })
  },
  refuse: (data, response) => json(response, { no: data.name }, 500),
  exit(data) {
    note('exits', data.name)
    process.exit(3)
  },
  hang() {},
  stream,
}

createServer((request, response) => {
  const chunks = []
  request
    .on('data', chunk => chunks.push(chunk))
    // A request that breaks off is no call.
    .on('error', () => {})
    .on('end', () => {
      if (request.method === 'GET') return response.writeHead(404).end()
      const { data } = JSON.parse(Buffer.concat(chunks).toString())
      const [step] = data.steps
      note('called', data.name)
      setTimeout(() => acts[step.act](data, response, step), step.afterMs)
    })
}).listen(3000)

// People who give away one large file on Hyperswarm, and a guest who takes it from all of them at once.
//
//   node hyperfile.cjs SETTINGS.json
//
// With `people` there is one for each address, each with the whole file; without, one guest with nothing.
const fs = require('fs')
const crypto = require('crypto')
const Hyperswarm = require('hyperswarm')
const DHT = require(require.resolve('hyperdht', { paths: [require.resolve('hyperswarm')] }))
const Hypercore = require('hypercore')
const RAM = require('random-access-memory')

const BLOCK_OCTETS = 65536
const settings = JSON.parse(fs.readFileSync(process.argv[2]))
const topic = crypto.createHash('sha256').update(settings.name).digest()
const rest = (ms) => new Promise((done) => setTimeout(done, ms))

async function people () {
  const [first, ...others] = settings.addresses
  await DHT.bootstrapper(settings.port, first, { host: first }).ready()
  const bootstrap = [`${first}:${settings.port}`]
  const file = new Hypercore(RAM)
  await file.ready()
  for (let sent = 0; sent < settings.octets; sent += BLOCK_OCTETS) await file.append(crypto.randomBytes(BLOCK_OCTETS))
  for (const address of others) {
    const dht = new DHT({ bootstrap, host: address, port: 0, anyPort: true, ephemeral: false, firewalled: false })
    const swarm = new Hyperswarm({ dht })
    swarm.on('connection', (connection) => {
      connection.on('error', () => {})
      file.replicate(connection)
    })
    await swarm.join(topic, { server: true, client: false }).flushed()
  }
  console.log(`key ${file.key.toString('hex')}`)
  console.log('ready')
}

async function guest () {
  const dht = new DHT({ bootstrap: [`${settings.addresses[0]}:${settings.port}`] })
  const swarm = new Hyperswarm({ dht })
  const file = new Hypercore(RAM, Buffer.from(settings.key, 'hex'))
  await file.ready()
  swarm.on('connection', (connection) => {
    connection.on('error', () => {})
    file.replicate(connection)
  })
  swarm.join(topic, { server: false, client: true })
  file.download({ start: 0, end: -1 })
  for (;;) {
    await rest(3000)
    console.log(`${file.peers.length} peers, ${file.contiguousLength} of ${file.length} blocks`)
  }
}

process.on('unhandledRejection', (error) => console.log(`failed: ${error}`))
if (settings.people) people()
else guest()

// People who meet by topic on Hyperswarm and keep each other's message logs (Hypercore) up to date.
//
//   node hyper.cjs SETTINGS.json
//
// With `people` there is a DHT and a swarm for each person, each bound to an address of its own. Without, there is one
// guest, behind a NAT, who joins the rooms and fetches what was written in the logs of those met there.
const fs = require('fs')
const crypto = require('crypto')
const Hyperswarm = require('hyperswarm')
const DHT = require(require.resolve('hyperdht', { paths: [require.resolve('hyperswarm')] }))
const Hypercore = require('hypercore')
const RAM = require('random-access-memory')

const settings = JSON.parse(fs.readFileSync(process.argv[2]))
const topic = (room) => crypto.createHash('sha256').update(`${settings.name} room ${room}`).digest()
const rest = (ms) => new Promise((done) => setTimeout(done, ms))

async function person (address, bootstrap, rooms) {
  const dht = new DHT({ bootstrap, host: address, port: 0, anyPort: true, ephemeral: false, firewalled: false })
  const swarm = new Hyperswarm({ dht })
  const log = new Hypercore(RAM)
  await log.ready()
  for (let i = 0; i < settings.messages; i++) await log.append('x'.repeat(40 + ((i * 37) % 200)))
  // The first thing said on a connection is whose log there is to read.
  swarm.on('connection', (connection) => {
    connection.on('error', () => {})
    connection.write(log.key)
    connection.once('data', () => log.replicate(connection))
  })
  for (const room of rooms) swarm.join(topic(room), { server: true, client: true })
  return swarm
}

async function people () {
  const [first, ...others] = settings.addresses
  const bootstrapper = DHT.bootstrapper(settings.port, first, { host: first })
  await bootstrapper.ready()
  const bootstrap = [`${first}:${settings.port}`]
  const swarms = []
  for (const [number, address] of others.entries()) {
    const rooms = settings.rooms.filter((_, room) => settings.members[room].includes(number))
    swarms.push(await person(address, bootstrap, rooms))
    await rest(60)
  }
  await Promise.all(swarms.map((swarm) => swarm.flush()))
  console.log('ready')
}

async function guest () {
  const dht = new DHT({ bootstrap: [`${settings.addresses[0]}:${settings.port}`] })
  const swarm = new Hyperswarm({ dht })
  let met = 0
  let read = 0
  swarm.on('connection', (connection) => {
    met++
    connection.on('error', () => {})
    connection.write(Buffer.alloc(32))
    connection.once('data', async (key) => {
      const log = new Hypercore(RAM, key.subarray(0, 32))
      await log.ready()
      log.replicate(connection)
      await log.update({ wait: true })
      await log.download({ start: 0, end: log.length }).done()
      read += log.length
    })
  })
  for (const room of settings.rooms) swarm.join(topic(room), { server: true, client: true })
  for (;;) {
    await rest(4000)
    console.log(`${met} people met, ${read} messages read`)
  }
}

process.on('unhandledRejection', (error) => console.log(`failed: ${error}`))
if (settings.people) people()
else guest()

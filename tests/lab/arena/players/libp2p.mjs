// People who meet by room in the hash table of libp2p, gossip there, and read each other's log when they meet.
//
//   node libp2p.mjs SETTINGS.json
//
// With `people` there is a node for each address; they provide the rooms they are members of. Without, there is one
// guest, who looks up who is in its rooms and, unless `lookup` is all it wants, calls on them.
import { createHash } from 'crypto'
import { readFileSync } from 'fs'
import { createLibp2p } from 'libp2p'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { kadDHT } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import * as digest from 'multiformats/hashes/digest'

// libp2p wants a Node.js of 2024; the one thing it misses in those before is this.
Promise.withResolvers ??= () => {
  const made = {}
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }))
  return made
}

const LOG = '/arena/log/1.0.0'
const SHA_256 = 0x12 // multiformats' table of codes
const RAW = 0x55
const settings = JSON.parse(readFileSync(process.argv[2]))
const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const name = (room) => `${settings.name} room ${room}`
const content = (room) => CID.createV1(RAW, digest.create(SHA_256, createHash('sha256').update(name(room)).digest()))

async function node (listen, clientMode) {
  return createLibp2p({
    addresses: { listen, announce: listen },
    // Everybody is on one machine here, so that many calls come from one address.
    connectionManager: { inboundConnectionThreshold: Infinity, maxIncomingPendingConnections: 100 },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      ping: ping(),
      dht: kadDHT({ protocol: '/arena/kad/1.0.0', clientMode }),
      pubsub: gossipsub({ allowPublishToZeroTopicPeers: true })
    }
  })
}

async function person (number, address) {
  const person = await node([`/ip4/${address}/tcp/${settings.ports[number]}`], false)
  await person.handle(LOG, async (stream) => {
    for (let i = 0; i < settings.messages; i++) stream.send(Buffer.from('x'.repeat(60 + (i * 37) % 200) + '\n'))
    await stream.close()
  })
  for (const room of settings.rooms) if (settings.members[room].includes(number)) person.services.pubsub.subscribe(name(room))
  return person
}

async function people () {
  const everybody = []
  for (const [number, address] of settings.addresses.entries()) {
    everybody.push(await person(number, address))
    if (number) await everybody[number].dial(everybody[number % 3 === 0 ? 0 : Math.floor(Math.random() * number)].getMultiaddrs()[0])
  }
  console.log(`entry ${everybody[0].getMultiaddrs()[0]}`)
  await rest(6000)
  await Promise.allSettled(settings.rooms.flatMap((room) => settings.members[room].map(async (number) => {
    await everybody[number].contentRouting.provide(content(room), { signal: AbortSignal.timeout(15000) })
  })))
  console.log('ready')
  setInterval(() => {
    const room = settings.rooms[Math.floor(Math.random() * settings.rooms.length)]
    const members = settings.members[room]
    const speaker = everybody[members[Math.floor(Math.random() * members.length)]]
    speaker.services.pubsub.publish(name(room), Buffer.from('what was it again')).catch(() => {})
  }, 700)
}

async function guest () {
  const me = await node([], true)
  await me.dial(multiaddr(settings.entry))
  await rest(1500)
  const met = new Set()
  let read = 0
  let heard = 0
  me.services.pubsub.addEventListener('gossipsub:message', () => { heard++ })
  for (const room of settings.rooms) {
    if (!settings.lookup) me.services.pubsub.subscribe(name(room))
    try {
      for await (const member of me.contentRouting.findProviders(content(room), { signal: AbortSignal.timeout(6000) })) {
        if (met.has(member.id.toString())) continue
        met.add(member.id.toString())
        if (!settings.lookup) call(member).catch((error) => console.log(`not reached: ${error.message}`))
      }
    } catch (error) {
      console.log(`room ${room}: ${error.message}`)
    }
  }

  async function call (member) {
    await me.peerStore.merge(member.id, { multiaddrs: member.multiaddrs })
    const stream = await me.dialProtocol(member.id, LOG, { signal: AbortSignal.timeout(8000) })
    for await (const part of stream) read += part.byteLength
  }
  setInterval(() => console.log(`${met.size} people found, ${read} octets read, ${heard} messages heard`), 4000)
}

process.on('unhandledRejection', (error) => console.log(`failed: ${error.message}`))
if (settings.people) people()
else guest()

// Nodes of BitTorrent's DHT by npm's bittorrent-dht: many who tell who has what, or one who comes up and asks.
//
//   node mainline.mjs hold PORT TORRENTS ADDRESS...
//   node mainline.mjs ask ENTRY TORRENTS
import { createHash } from 'crypto'
import { Client as DHT } from 'bittorrent-dht'

const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const torrent = (number) => createHash('sha1').update(`torrent ${number}`).digest()
const [what, where, count, ...addresses] = process.argv.slice(2)

if (what === 'hold') {
  const nodes = []
  for (const [number, address] of addresses.entries()) {
    const node = new DHT({ bootstrap: number ? [`${addresses[0]}:${where}`] : false })
    const port = number % 3 ? 20000 + number * 37 : Number(where)
    await new Promise((resolve) => node.listen(port, address, resolve))
    nodes.push(node)
    await rest(60)
  }
  await rest(3000)
  for (let number = 0; number < count; number++) {
    for (let i = 0; i < 5; i++) nodes[(number * 7 + i * 3) % nodes.length].announce(torrent(number), 6881 + i)
  }
  await rest(3000)
  console.log('ready')
} else {
  const node = new DHT({ bootstrap: [where] })
  let met = 0
  node.on('peer', () => { met++ })
  node.listen(6881)
  await new Promise((resolve) => node.on('ready', resolve))
  for (let number = 0; number < count; number++) {
    node.lookup(torrent(number), () => console.log(`${met} peers told`))
    await rest(700 + number % 4 * 500)
    if (number % 3 === 0) node.announce(torrent(number), 6881)
  }
}

// Downloads a torrent by npm's webtorrent, over TCP and uTP where it has it.
//
//   node webtorrent.cjs TORRENT FOLDER DHT_NODE
const WebTorrent = require('webtorrent')

const [torrent, path, entry] = process.argv.slice(2)
const client = new WebTorrent({ dht: { bootstrap: [entry] }, lsd: false, natUpnp: false })
client.on('error', (error) => console.log(`failed: ${error.message}`))
client.add(torrent, { path }, (added) => {
  setInterval(() => console.log(`${added.numPeers} peers, ${(added.progress * 100).toFixed(0)} %`), 4000)
})

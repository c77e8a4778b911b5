// People who keep each other's boards up to date with gun: each is a server to the others, over WebSockets.
//
//   node gun.cjs SETTINGS.json
//
// With `people` there is one for each address; without, a guest who knows some of them and reads and writes boards.
const fs = require('fs')
const http = require('http')
const path = require('path')
const Gun = require('gun')

const settings = JSON.parse(fs.readFileSync(process.argv[2]))
const url = (number) => `http://${settings.addresses[number]}:${settings.ports[number]}/gun`
const options = (name) => ({ file: path.join(path.dirname(process.argv[2]), name), multicast: false, axe: false })

function people () {
  const everybody = settings.addresses.map((address, number) => {
    const web = http.createServer().listen(settings.ports[number], address)
    const peers = [1, 2, 5].map((step) => (number + step) % settings.addresses.length).map(url)
    return Gun({ ...options(`data${number}`), web, peers })
  })
  const say = (number, board, note) => {
    everybody[number % everybody.length].get(`board${board}`).get(`note${note}`).put('what was it again '.repeat(1 + note % 9))
  }
  for (let board = 0; board < settings.boards; board++) {
    for (let note = 0; note < settings.notes; note++) say(board * 3 + note, board, note)
  }
  setInterval(() => say(Math.floor(Math.random() * 99), Math.floor(Math.random() * settings.boards), 100), 1500)
  setTimeout(() => console.log('ready'), 8000)
}

function guest () {
  const gun = Gun({ ...options('mine'), peers: settings.known.map(url) })
  let read = 0
  for (let board = 0; board < settings.boards; board++) {
    gun.get(`board${board}`).map().on(() => { read++ })
    setTimeout(() => gun.get(`board${board}`).get('mine').put('here I am'), 3000 + board * 900)
  }
  setInterval(() => console.log(`${read} notes read`), 4000)
}

if (settings.people) people()
else guest()

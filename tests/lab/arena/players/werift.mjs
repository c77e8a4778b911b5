// A WebRTC call by npm's werift to one who takes calls by HTTP (see call.py).
//
//   node werift.mjs URL KIND SOUND_PORT PICTURE_PORT SECONDS
//
// KIND is `audio` or `video`. RTP packets that come to the two local ports are what is said and shown.
import { createSocket } from 'dgram'
import { RTCPeerConnection, MediaStreamTrack, useOPUS, useVP8 } from 'werift'

const [url, kind, soundPort, picturePort, seconds] = process.argv.slice(2)
const call = new RTCPeerConnection({ codecs: { audio: [useOPUS()], video: [useVP8()] }, iceServers: [] })
let heard = 0

function track (name, port) {
  const track = new MediaStreamTrack({ kind: name })
  const socket = createSocket('udp4')
  socket.bind(Number(port), '127.0.0.1')
  socket.on('message', (packet) => track.writeRtp(packet))
  const transceiver = call.addTransceiver(track, { direction: 'sendrecv' })
  transceiver.onTrack.subscribe((other) => other.onReceiveRtp.subscribe(() => { heard++ }))
}

track('audio', soundPort)
if (kind === 'video') track('video', picturePort)
call.connectionStateChange.subscribe((state) => console.log(state))
await call.setLocalDescription(await call.createOffer())
const body = JSON.stringify({ sdp: call.localDescription.sdp, type: call.localDescription.type })
const answer = await fetch(`${url}offer`, { method: 'POST', body })
await call.setRemoteDescription(await answer.json())
setTimeout(() => {
  console.log(`${heard} packets heard`)
  process.exit()
}, Number(seconds) * 1000)

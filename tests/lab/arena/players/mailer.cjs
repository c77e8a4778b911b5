// Letters to many mail servers by nodemailer, some at once, over connections kept for the next to the same server.
//
//   node mailer.cjs LETTERS AT_ONCE SERVER...
const nodemailer = require('nodemailer')

const [letters, atOnce, ...servers] = process.argv.slice(2)
const doors = servers.map((host) => nodemailer.createTransport({
  host, port: 25, secure: false, ignoreTLS: true, name: 'guest.example', pool: true, maxConnections: 1
}))
let left = Number(letters)

async function work () {
  while (left-- > 0) {
    const number = left
    await doors[(number * 7) % doors.length].sendMail({
      from: 'offers@example.com',
      to: `someone${number}@example.net`,
      subject: 'you have won',
      html: '<p>Answer today to claim your prize.</p>'.repeat(5 + number % 60)
    }).catch((error) => console.log(`failed: ${error.message}`))
  }
}

Promise.all(Array.from({ length: Number(atOnce) }, work)).then(() => doors.forEach((door) => door.close()))

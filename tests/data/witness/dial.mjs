// A libp2p node that is not ours, as somebody on the same network would bring one: what it gets out of HOST PORT, in lines of JSON.
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKey, preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import net from 'node:net'

const [host, port] = process.argv.slice(2)

// What the client's libraries take for granted, and Node 20 lacks.
Promise.withResolvers ??= () => {
  const parts = {}
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }))
  return parts
}

const node = (listen, connectionProtector) => createLibp2p({
  addresses: { listen },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionProtector
})

const wrongKey = () => {
  const key = new Uint8Array(95)
  generateKey(key)
  return preSharedKey({ psk: key })
}

const attempt = async (name, dialler, address) => {
  try {
    const connection = await dialler.dial(multiaddr(address), { signal: AbortSignal.timeout(8000) })
    console.log(JSON.stringify({ name, connected: true, peer: connection.remotePeer.toString() }))
  } catch (error) {
    console.log(JSON.stringify({ name, connected: false, error: String(error.message).slice(0, 200) }))
  }
  await dialler.stop()
}

// Whatever comes without a word from us, and after the first words of the protocol.
const listen = (name, words, [toHost, toPort] = [host, port]) => new Promise(resolve => {
  const heard = []
  const socket = net.connect(Number(toPort), toHost, () => socket.write(words))
  socket.on('data', data => heard.push(data))
  socket.on('error', () => {})
  const patience = setTimeout(() => socket.destroy(), 8000)
  socket.on('close', () => {
    clearTimeout(patience)
    console.log(JSON.stringify({ name, heard: Buffer.concat(heard).toString('hex') }))
    resolve()
  })
})

const multistream = '\x13/multistream/1.0.0\n'
// The client works: against one of its own kind it gets through.
const friend = await node(['/ip4/127.0.0.1/tcp/0'])
const [friendly] = friend.getMultiaddrs()
await attempt('control', await node([]), friendly.toString())
await listen('multistream to its own kind', multistream, ['127.0.0.1', friendly.toString().split('/')[4]])
await friend.stop()
await attempt('no key', await node([]), `/ip4/${host}/tcp/${port}`)
await attempt('another key', await node([], wrongKey()), `/ip4/${host}/tcp/${port}`)
await listen('silence', '')
await listen('multistream', multistream)
await listen('noise of 4 KiB', Buffer.alloc(4096, 0x5a))
process.exit(0)

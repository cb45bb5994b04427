/** Dashboards in a thread of their own, so that what is measured is the gateway and not its clients. */
import { parentPort, workerData } from 'node:worker_threads'
import { io } from 'socket.io-client'
import { z } from 'zod'

const { url, token, clients, expected } = z
  .object({ url: z.string(), token: z.string(), clients: z.int(), expected: z.int() })
  .parse(workerData)

const latencies: number[] = []
const message = z.looseObject({ event: z.looseObject({ acquiredAt: z.number() }) })
let ready = 0
const sockets = Array.from({ length: clients }, () => {
  const socket = io(url, { path: '/live', transports: ['websocket'], forceNew: true, auth: { token } })
  socket.on('connect', () =>
    socket.emit('join', { rooms: ['all'] }, () => {
      if (++ready === clients) parentPort?.postMessage('ready')
    }),
  )
  socket.on('instance', (received: unknown) => {
    // Only each tenth is parsed: the rest of the time belongs to the sockets.
    if (latencies.length % 10 === 0) latencies.push(Date.now() - message.parse(received).event.acquiredAt)
    else latencies.push(Number.NaN)
    if (latencies.length === expected * clients) finish()
  })
  return socket
})

function finish(): void {
  for (const socket of sockets) socket.close()
  parentPort?.postMessage(latencies.filter(latency => !Number.isNaN(latency)).toSorted((a, b) => a - b))
}

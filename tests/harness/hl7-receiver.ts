/** A system that reads HL7 version 2 over MLLP: keeps each message, and answers as it is told. */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { controlIdOf, frame } from '../../hl7/mllp.ts'

export interface Hl7Receiver extends AsyncDisposable {
  readonly port: number
  readonly messages: string[]
  code: 'AA' | 'AE' | 'AR'
}

/** @param words what it says besides, in MSA-3 and ERR, of what it was sent */
export async function startHl7(
  code: Hl7Receiver['code'] = 'AA',
  words: (message: string) => string = () => '',
): Promise<Hl7Receiver> {
  const open = new Set<Socket>()
  const messages: string[] = []
  const receiver = { messages, code }
  const server = createServer(socket => {
    let held = Buffer.alloc(0)
    open.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => open.delete(socket))
    socket.on('data', (bytes: Buffer) => {
      held = Buffer.concat([held, bytes])
      const end = held.indexOf('\x1c\r')
      if (end < 0) return
      const message = held.subarray(1, end)
      held = held.subarray(end + 2)
      messages.push(message.toString())
      const said = words(message.toString()).replace(/[|\r\n]/g, ' ')
      const answer = [
        'MSH|^~\\&|RIS|H|RAYLOG|main|||ACK|1|P|2.5.1',
        `MSA|${receiver.code}|${controlIdOf(message)}|${said}`,
        ...(said === '' ? [] : [`ERR|||207^${said}|E|||${said}|${said}`]),
      ]
      socket.write(frame(Buffer.from(`${answer.join('\r')}\r`)))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return Object.assign(receiver, {
    port: typeof address === 'object' && address ? address.port : 0,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      await new Promise<void>(done => server.close(() => done()))
    },
  })
}

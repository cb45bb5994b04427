/** An object that no memory should hold: a multi-frame secondary capture, sent as it is made. */
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { pdu, writePdu } from '../../dicom/pdu.ts'
import { command, dataPdus, type Peer } from '../harness/dicom-peer.ts'
import { dicomDataSet, element, secondaryCapture } from './bodies.ts'

/** Writes the piece so many times, as fast as the peer reads; ends early when the connection does. */
export async function flood({ socket }: Peer, piece: Buffer, pieces: number): Promise<void> {
  for (let i = 0; i < pieces && socket.writable; i++) {
    if (socket.write(piece)) continue
    const over = new AbortController()
    const { signal } = over
    await Promise.race([once(socket, 'drain', { signal }), once(socket, 'close', { signal }), wait(500)])
    over.abort() // whichever was not first is not listened for any more
  }
}

const pieceBytes = 100_000

/** @param frames of a million bytes each */
export async function sendLarge(peer: Peer, uid: string, frames: number): Promise<void> {
  const pixels = element(0x7fe00010, 'OW', Buffer.alloc(0), frames * 1_000_000)
  const set = dicomDataSet({ uid, rows: 1_000, columns: 1_000, frames: String(frames), pixels })
  const piece = (bytes: Buffer, last: boolean) => {
    const head = Buffer.alloc(6)
    head.writeUInt32BE(bytes.length + 2, 0)
    head[4] = 1
    head[5] = last ? 2 : 0
    return writePdu(pdu.data, head, bytes)
  }
  peer.write(dataPdus(1, true, command(1, { sopClass: secondaryCapture, sopInstance: uid, data: true })))
  peer.write(piece(set, false))
  await flood(peer, piece(Buffer.alloc(pieceBytes), false), frames * 10 - 1)
  peer.write(piece(Buffer.alloc(pieceBytes), true))
}

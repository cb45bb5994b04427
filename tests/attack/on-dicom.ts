/** Attacks on the DICOM port: rubbish, lies, floods, vanishing senders, and an image that no memory should hold. */
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { pdu, writePdu } from '../../dicom/pdu.ts'
import { associate, associateRequest, connectPeer, dataPdus, echo, statusOf, store } from '../harness/dicom-peer.ts'
import type { Raylog } from '../harness/raylog.ts'
import { dicomDataSet, explicitLittle, secondaryCapture } from './bodies.ts'
import { flood, sendLarge } from './large.ts'
import type { Attack } from './on-http.ts'

const contexts = [{ abstract: secondaryCapture, syntaxes: [explicitLittle] }]
const associated = ({ dicomPort }: Raylog) => associate(dicomPort, { contexts })
const storeOf = (uid: string, more: Parameters<typeof dicomDataSet>[0] = {}) =>
  store({ sopClass: secondaryCapture, sopInstance: uid }, dicomDataSet({ uid, ...more }))

export const onDicom: readonly Attack[] = [
  [
    'aborts rubbish, HTTP, lengths of 4 GB, and messages before there is an association',
    async ({ dicomPort }) => {
      for (const bytes of [
        Buffer.from('GET / HTTP/1.1\r\n\r\n'),
        Buffer.from([1, 0, 255, 255, 255, 255]),
        Buffer.from([4, 0, 255, 255, 255, 255]),
        echo(),
        associateRequest({ contexts: Array.from({ length: 1_000 }, () => contexts).flat() }),
      ]) {
        using peer = await connectPeer(dicomPort)
        peer.write(bytes)
        expect(await peer.next()).toMatchObject({ type: pdu.abort })
      }
    },
  ],
  [
    'aborts a second association request, command sets that are none, and endless empty pieces',
    async raylog => {
      const empty = writePdu(pdu.data, Buffer.from([0, 0, 0, 2, 1, 1]))
      for (const bytes of [
        associateRequest(),
        dataPdus(1, true, Buffer.from('garbage garbage garbage')),
        Buffer.alloc(empty.length * 10_000, empty),
      ]) {
        using peer = await associated(raylog)
        peer.write(bytes)
        expect(await peer.next()).toMatchObject({ type: pdu.abort })
      }
    },
  ],
  [
    'refuses images that are not what the request says, or whose UID is a path',
    async raylog => {
      using peer = await associated(raylog)
      peer.write(store({ sopClass: secondaryCapture, sopInstance: '9.9.9' }, dicomDataSet()))
      expect(statusOf(await peer.next()).status).toBe(0xa900)
      peer.write(storeOf('../../../etc/passwd'))
      expect(statusOf(await peer.next()).status).toBe(0xc000)
    },
  ],
  [
    'loses nothing but the image when two hundred senders vanish midway',
    async raylog => {
      await Promise.all(
        Array.from({ length: 200 }, async (_, i) => {
          using peer = await associated(raylog)
          const whole = storeOf(`1.2.7.${i}`, { rows: 1_000, columns: 1_500 })
          peer.write(whole.subarray(0, 200_000 + i * 5_000))
          await Promise.race([once(peer.socket, 'drain'), wait(300)])
        }),
      )
    },
  ],
  [
    'keeps an image once that a hundred senders send at once, and twice where its content differs',
    async raylog => {
      const send = async (bytes: Buffer) => {
        using peer = await associated(raylog)
        peer.write(bytes)
        return statusOf(await peer.next()).status
      }
      const [same, other] = [storeOf('1.2.8.1', { study: '1.2.8' }), storeOf('1.2.8.1', { study: '1.2.8', rows: 32 })]
      const statuses = await Promise.all([...Array.from({ length: 100 }, () => send(same)), send(other)])
      expect(new Set(statuses)).toEqual(new Set([0]))
      const stored = async () => {
        const { items } = await raylog.json<{ items: { dicom: { study: string } | null }[] }>(
          '/api/v1/instances?limit=1000',
        )
        return items.filter(({ dicom }) => dicom?.study === '1.2.8').length
      }
      await expect.poll(stored, { timeout: 60_000 }).toBe(2)
    },
  ],
  [
    'holds no more than it reads of a peer that floods it while it waits',
    async raylog => {
      const half = storeOf('1.2.9.1')
      const holding = await Promise.all(Array.from({ length: 32 }, () => associated(raylog)))
      for (const peer of holding) peer.write(half.subarray(0, half.length - 200))
      using peer = await associated(raylog)
      peer.write(half)
      await flood(peer, writePdu(pdu.associateRq, Buffer.alloc(1024 * 1024)), 100)
      for (const held of holding) held.socket.destroy()
    },
  ],
  [
    'gives up those who send a byte now and then, and takes the image of one who waits behind them',
    async raylog => {
      const bytes = storeOf('1.2.9.2')
      const dripping = await Promise.all(Array.from({ length: 32 }, () => associated(raylog)))
      for (const peer of dripping) peer.write(bytes.subarray(0, bytes.length - 250))
      let at = bytes.length - 250
      const drip = setInterval(() => {
        for (const peer of dripping) peer.write(bytes.subarray(at, at + 1))
        at++
      }, 100)
      try {
        using peer = await associated(raylog)
        peer.write(bytes)
        expect(statusOf(await peer.next()).status).toBe(0)
      } finally {
        clearInterval(drip)
        for (const peer of dripping) peer.socket.destroy()
      }
    },
  ],
  [
    'takes a multi-frame object of 600 MB as it comes',
    async raylog => {
      using peer = await associated(raylog)
      await sendLarge(peer, '1.2.9.4', 600)
      expect(statusOf(await peer.next()).status).toBe(0)
    },
  ],
]

/** STOW-RS over HTTP: what clients send, what is answered, and what rubbish does. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { until } from '../harness/until.ts'
import { boundary, filledPerFile, fixture, openDicomweb, problemOf, token } from './kit.ts'

const filled = filledPerFile()
const { of, bytesOf } = filled

describe('STOW-RS', () => {
  it('answers 200 with the addresses of what is stored, and stores it as it came', async () => {
    const name = 'rgb.dcm'
    const answer = await filled.kit.store([bytesOf(name)])
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/dicom+json'])
    const { study, instance } = of(name)
    const body = JSON.parse(await answer.text())
    expect(body['00081190']).toEqual({ vr: 'UR', Value: [`${filled.kit.base}/studies/${study}`] })
    expect(body['00081199'].Value).toMatchObject([{ '00081155': { vr: 'UI', Value: [instance] } }])
    expect(Object.keys(body)).not.toContain('00081198')
  })

  it('answers 202 and a reason for each object that is refused, with its UIDs where it says them', async () => {
    const good = bytesOf('rgb.dcm')
    const cut = bytesOf('implicit-i16.dcm').subarray(0, -10)
    const noSeries = Buffer.from(bytesOf('rle-frames.dcm'))
    noSeries[noSeries.indexOf(Buffer.from('20000e005549', 'hex')) + 2] = 0x0f
    const answer = await filled.kit.store([
      good,
      cut,
      noSeries,
      Buffer.from('no DICOM at all'),
      await fixture('grey.png'),
    ])
    expect(answer.status).toBe(202)
    const body = JSON.parse(await answer.text())
    expect(body['00081199'].Value).toHaveLength(1)
    expect(body['00081198'].Value).toMatchObject([
      { '00081155': { Value: [of('implicit-i16.dcm').instance] }, '00081197': { vr: 'US', Value: [0xc000] } },
      { '00081155': { Value: [of('rle-frames.dcm').instance] }, '00081197': { vr: 'US', Value: [0xc000] } },
    ])
    expect(body['0008119A'].Value).toHaveLength(2)
  })

  it('answers 409 where nothing could be stored', async () => {
    const answer = await filled.kit.store([Buffer.from('rubbish')])
    expect(answer.status).toBe(409)
    expect(JSON.parse(await answer.text())['00081199']).toBeUndefined()
  })

  it('refuses an object of another study than the address names', async () => {
    const answer = await filled.kit.store([bytesOf('rgb.dcm')], '/studies/1.2.3.4')
    expect(answer.status).toBe(409)
    expect(JSON.parse(await answer.text())['00081198'].Value[0]['00081197'].Value).toEqual([0xa900])
  })

  it('takes one object as the body', async () => {
    const headers = { 'content-type': 'application/dicom' }
    const answer = await filled.kit.ask('/studies', {
      method: 'POST',
      headers,
      body: Uint8Array.from(bytesOf('rgb.dcm')),
    })
    expect(answer.status).toBe(200)
  })

  it('says 503 where the log is away, and acknowledges nothing', async () => {
    await using stack = new AsyncDisposableStack()
    const away = stack.adopt(
      await openDicomweb({
        publishing: () => Promise.reject(new RaylogError('log-unavailable', 'the log does not answer')),
      }),
      each => each.close(),
    )
    const answer = await away.store([bytesOf('rgb.dcm')])
    expect([answer.status, (await problemOf(answer)).code]).toEqual([503, 'log-unavailable'])
    expect(await away.json('/instances')).toEqual([])
  })

  it('needs the token', async () => {
    const answer = await fetch(`${filled.kit.base}/studies`, { headers: { authorization: 'Bearer wrong' } })
    expect(answer.status).toBe(401)
  })

  const type = `multipart/related; type="application/dicom"; boundary=${boundary}`
  const post = (body: string, contentType = type) =>
    filled.kit.ask('/studies', { method: 'POST', headers: { 'content-type': contentType }, body })

  it.each<[string, string, string, number, string]>([
    ['a body that is none', type, 'rubbish without any boundary', 400, 'bad-request'],
    ['an empty body', type, '', 400, 'empty-upload'],
    ['a part without an end', type, `--${boundary}\r\n\r\nDICM`, 422, 'truncated'],
    ['a boundary with something behind it', type, `--${boundary}X\r\n\r\nrubbish`, 400, 'bad-request'],
    ['headers without an end', type, `--${boundary}\r\n${'X: y\r\n'.repeat(10_000)}`, 400, 'bad-request'],
    ['no parts', type, `--${boundary}--\r\n`, 400, 'empty-upload'],
    ['no boundary', 'multipart/related; type="application/dicom"', 'x', 400, 'bad-request'],
    ['a boundary that is too long', `multipart/related; boundary=${'b'.repeat(201)}`, 'x', 400, 'bad-request'],
    ['other parts', `multipart/related; type="application/dicom+xml"; boundary=x`, '--x--', 415, 'not-an-image'],
    ['another type', 'text/plain', 'x', 415, 'not-an-image'],
  ])('tells %s by a problem', async (_, contentType, body, status, code) => {
    const answer = await post(body, contentType)
    expect([answer.status, (await problemOf(answer)).code]).toEqual([status, code])
  })

  it('reads parts whose headers, line ends and boundaries are cut anywhere', async () => {
    const object = bytesOf('rgb.dcm')
    const whole = Buffer.concat([
      Buffer.from(`preamble\r\n--${boundary} \t\r\n\r\n`),
      object,
      Buffer.from(`\r\n--${boundary}\r\ncontent-TYPE:application/dicom\r\n\r\n`),
      object,
      Buffer.from(`\r\n--${boundary}--epilogue`),
    ])
    for (const size of [1000, 97, 61]) {
      async function* pieces() {
        for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size)
      }
      const answer = await filled.kit.ask('/studies', {
        method: 'POST',
        headers: { 'content-type': type },
        body: ReadableStream.from(pieces()),
        duplex: 'half',
      } as RequestInit)
      expect(answer.status).toBe(200)
      expect(JSON.parse(await answer.text())['00081199'].Value).toHaveLength(2)
    }
  })

  it('lets go of a sender that vanishes in the middle of 2 GB, and of a part that is longer than the limit', async () => {
    await using stack = new AsyncDisposableStack()
    const small = stack.adopt(await openDicomweb({ settings: { maxBytes: 100_000 } }), each => each.close())
    const { hostname, port } = new URL(small.base)
    const socket = connect({ host: hostname, port: Number(port) })
    await once(socket, 'connect')
    const head = `POST /dicomweb/studies HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: ${type}\r\nContent-Length: 2147483648\r\n\r\n--${boundary}\r\n\r\n`
    socket.write(head)
    socket.write(bytesOf('implicit-i16.dcm').subarray(0, 1_000))
    const inside = () => small.stores.metrics.received.get()
    await until('the request is being read', () => socket.writableLength === 0)
    socket.destroy()
    await until('its end is counted', async () =>
      (await inside()).values.some(({ labels }) => labels.outcome === 'truncated'),
    )
    const answer = await small.store([Buffer.concat([bytesOf('rgb.dcm'), Buffer.alloc(200_000)]), bytesOf('rgb.dcm')])
    expect(answer.status).toBe(202)
    await small.producer.drain()
    expect(await small.producer.objectCount()).toBe(1)
  })
})

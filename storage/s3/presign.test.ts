import { Client } from 'minio'
import { expect, it } from 'vitest'
import { systemClock } from '../../monitoring/clock.ts'
import { createSigner } from './presign.ts'

const key = `ab/${'0123456789abcdef'.repeat(4)}`

function signerOf(endPoint: string, pathStyle: boolean, port: number | undefined, prefix: string) {
  const [accessKey, secretKey, region] = ["an/access+key!'()*", 'a secret', 'eu-central-1']
  const address = { endPoint, pathStyle, ...(port === undefined ? {} : { port }), useSSL: port === undefined }
  const client = new Client({ ...address, accessKey, secretKey, region })
  const time = { now: Date.UTC(2026, 1, 3, 23, 59, 59, 900) }
  const clock = { ...systemClock, now: () => time.now }
  const sign = createSigner({ client, bucket: 'images', prefix, region, accessKey, secretKey, clock })
  const expected = () => client.presignedGetObject('images', prefix + key, 90, {}, new Date(time.now))
  const saved = { 'response-content-disposition': 'attachment; filename="in_1.dcm"' }
  const expectedSaved = () => client.presignedGetObject('images', prefix + key, 90, saved, new Date(time.now))
  return { sign, expected, expectedSaved, time }
}

it.each([
  ['by path, with a port', '127.0.0.1', true, 9000],
  ['by path', 'storage.example.org', true, undefined],
  ['by the name of the host, of AWS', 's3.amazonaws.com', false, undefined],
] as const)('signs as the client does: %s, below a prefix, and on the next day', async (_, host, pathStyle, port) => {
  for (const prefix of ['', 'hospital/north wing+1/']) {
    const { sign, expected, expectedSaved, time } = signerOf(host, pathStyle, port, prefix)
    expect(await sign(key, 90)).toBe(await expected())
    time.now += 200
    expect(await sign(key, 90)).toBe(await expected())
    // The client says the same in another order.
    const parts = (url: string) => [...new URL(url).searchParams].toSorted()
    expect(parts(await sign(key, 90, 'in_1.dcm'))).toEqual(parts(await expectedSaved()))
  }
})

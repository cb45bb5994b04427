/** Attacks on the HTTP port: bodies, forms, archives, requests that are none, ids, filters, ranges, other origins. */
import { connect } from 'node:net'
import { io } from 'socket.io-client'
import { expect } from 'vitest'
import { digitPng } from '../../producers/simulator/phantoms.ts'
import type { Raylog } from '../harness/raylog.ts'
import * as lies from './bodies.ts'

export type Attack = readonly [name: string, run: (raylog: Raylog) => Promise<void>]

const octets = { 'content-type': 'application/octet-stream' }
export const canary = 'Zebrafinch'

/** Status of the request and, of each file in it, its code; undefined where it was kept. */
export async function upload(
  raylog: Raylog,
  body: Buffer | string,
  headers: Record<string, string> = octets,
  query = '',
) {
  const answer = await raylog.post(`/api/v1/instances${query}`, body, headers)
  const told = (await answer.json()) as { code?: string; items?: { id?: string; error?: { code: string } }[] }
  return { status: answer.status, code: told.code, codes: told.items?.map(item => item.error?.code), items: told.items }
}

function refuses(name: string, body: () => Buffer | string, code: string): Attack {
  return [
    `refuses ${name} as ${code}`,
    async raylog => {
      const { code: whole, codes } = await upload(raylog, body())
      expect(codes ?? [whole]).toEqual([code])
    },
  ]
}

/** Sends bytes as they are. @returns what came back until the connection closed, or for `ms` */
export function raw(raylog: Raylog, bytes: string | Buffer, ms = 10_000): Promise<string> {
  return new Promise(resolve => {
    let got = ''
    const socket = connect(Number(new URL(raylog.url).port), '127.0.0.1', () => socket.write(bytes))
    const timer = setTimeout(() => socket.destroy(), ms)
    socket.setEncoding('latin1').on('data', text => (got += text))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(got)
    })
  })
}

const form = (...parts: string[]) => `${parts.map(part => `--X\r\n${part}\r\n`).join('')}--X--\r\n`
const formType = { 'content-type': 'multipart/form-data; boundary=X' }
const field = (name: string, value: string) => `Content-Disposition: form-data; name="${name}"\r\n\r\n${value}`
const file = (name: string, value: string) =>
  `Content-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: image/png\r\n\r\n${value}`

const bodies: Attack[] = [
  refuses('nothing', () => Buffer.alloc(0), 'empty-upload'),
  refuses('text', () => 'hello', 'not-an-image'),
  refuses('a script as SVG', () => '<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', 'not-an-image'),
  refuses('half a DICOM header', () => lies.dicomFile().subarray(0, 500), 'truncated'),
  refuses(
    'pixels of 4 GB that are not there',
    () =>
      lies.dicomFile({
        rows: 65_535,
        columns: 65_535,
        pixels: lies.element(0x7fe00010, 'OW', Buffer.alloc(9), 0xfffffffe),
      }),
    'truncated',
  ),
  refuses('a thousand million frames', () => lies.dicomFile({ frames: '1000000000' }), 'truncated'),
  refuses('more frames than can be counted', () => lies.dicomFile({ frames: '99999999999' }), 'malformed-dicom'),
  refuses(
    'sequences fifty thousand deep',
    () => lies.dicomFile({ before: lies.deepSequence(50_000) }),
    'malformed-dicom',
  ),
  refuses('a PNG of 100 megapixels', () => lies.pngOf(10_000, 10_000), 'too-large'),
  refuses('a TIFF of 60,000 x 60,000', () => lies.tiffOf(1, { width: 60_000, height: 60_000 }), 'too-large'),
  refuses(
    'a deflated data set of a gigabyte',
    () =>
      lies.dicomFile({
        transferSyntax: lies.deflatedLittle,
        before: lies.element(0x00091010, 'UN', Buffer.alloc(500_000_000)),
      }),
    'truncated',
  ),
  [
    'keeps its memory while sixteen deflated data sets of 60 MB come at once',
    async raylog => {
      const body = lies.dicomFile({
        transferSyntax: lies.deflatedLittle,
        more: lies.element(0x00111010, 'UN', Buffer.alloc(60_000_000)),
      })
      await Promise.all(Array.from({ length: 16 }, () => upload(raylog, body)))
    },
  ],
  [
    'parks, or refuses to show, pictures that are cut, huge or endless, and the workers live',
    async raylog => {
      const png = await digitPng(1)
      const pictures = [
        png.subarray(0, png.length / 2),
        lies.pngOf(7_000, 7_000),
        lies.pngOf(8, 8, ...Array.from({ length: 10 }, (_, i) => lies.pngText(`k${i}`, Buffer.alloc(30_000_000)))),
        lies.tiffOf(100_000),
        lies.tiffOf(100, { loop: true }),
      ]
      for (const body of pictures) {
        const { items } = await upload(raylog, body, octets, '?model=digits')
        const id = items?.[0]?.id
        if (id) expect((await raylog.get(`/api/v1/instances/${id}/preview?size=64`)).status).toBeLessThan(500)
      }
    },
  ],
]

const archives: Attack[] = [
  refuses(
    'an encrypted archive',
    () => lies.zipOfLies([{ name: 'a', bytes: Buffer.from('x'), encrypted: true }]),
    'zip-refused',
  ),
  refuses(
    'an entry of 4 GB',
    () => lies.zipOfLies([{ name: 'a', bytes: Buffer.from('x'), declared: 2 ** 32 }]),
    'zip-refused',
  ),
  refuses(
    'an entry that is larger than it says',
    () => lies.zipOfLies([{ name: 'a', bytes: Buffer.alloc(1e6), declared: 9 }]),
    'zip-refused',
  ),
  refuses('a bomb', () => lies.zipOfLies([{ name: 'a', bytes: Buffer.alloc(2e8) }]), 'zip-refused'),
  refuses('an archive in an archive', () => lies.zipOfLies([{ name: 'a', bytes: lies.zipOfLies([]) }]), 'zip-refused'),
  refuses(
    'ten thousand and one entries',
    () => lies.zipOfLies(Array.from({ length: 10_001 }, (_, i) => ({ name: `${i}`, bytes: Buffer.from('x') }))),
    'zip-refused',
  ),
  [
    'takes the images of an archive whose names are tricks, as images and no more',
    async raylog => {
      const names = [
        '../../../etc/passwd',
        '/etc/shadow',
        'a\0b',
        'C:\\..\\x',
        'n'.repeat(60_000),
        '<img src=x onerror=alert(1)>',
      ]
      const bytes = await digitPng(7)
      const { codes } = await upload(raylog, lies.zipOfLies(names.map(name => ({ name, bytes, mode: 0o120777 << 16 }))))
      expect(codes).toEqual(names.map(() => undefined))
    },
  ],
]

const forms: Attack[] = [
  [
    'refuses forms with thousands of fields, a huge field, a forbidden name, no boundary, no end',
    async raylog => {
      const many = form(...Array.from({ length: 3_000 }, () => field('study', 'x')))
      expect(await upload(raylog, many, formType)).toMatchObject({ code: 'too-large' })
      expect(await upload(raylog, form(field('study', 'x'.repeat(5_000_000))), formType)).toMatchObject({ status: 400 })
      expect(await upload(raylog, form(field('__proto__', 'x')), formType)).toMatchObject({ code: 'bad-request' })
      expect(await upload(raylog, 'x', { 'content-type': 'multipart/form-data' })).toMatchObject({ code: 'truncated' })
      expect(await upload(raylog, form(file('a', 'x')).slice(0, 150), formType)).toMatchObject({ status: 422 })
    },
  ],
  [
    'answers each of a thousand files of a form',
    async raylog => {
      const { codes } = await upload(
        raylog,
        form(...Array.from({ length: 1_000 }, (_, i) => file(`../${i}`, 'x'))),
        formType,
      )
      expect(codes).toEqual(Array.from({ length: 1_000 }, () => 'not-an-image'))
    },
  ],
  [
    'gives up senders that stop midway, and serves the others meanwhile',
    async raylog => {
      const head = `POST /api/v1/instances HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${raylog.token}\r\n`
      const stalled = Array.from({ length: 40 }, () =>
        raw(raylog, `${head}Content-Type: image/png\r\nContent-Length: 100000\r\n\r\nabc`, 20_000),
      )
      expect((await upload(raylog, await digitPng(11))).status).toBe(201)
      await Promise.all(stalled)
    },
  ],
]

const requests: Attack[] = [
  [
    'answers requests that are none, lie about their length or carry too much with 4xx',
    async raylog => {
      const auth = `Host: localhost\r\nAuthorization: Bearer ${raylog.token}\r\nContent-Type: image/png\r\n`
      const post = `POST /api/v1/instances HTTP/1.1\r\n${auth}`
      for (const request of [
        '\0\0\xff GARBAGE\r\n\r\n',
        `GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGARBAGE\r\n\r\n`,
        `${post}Content-Length: -5\r\n\r\nabc`,
        `${post}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
        `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`,
        'GET /healthz HTTP/1.1\r\n\r\n',
        'GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
        'GET /api/v1/about HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      ])
        expect(await raw(raylog, request), request.slice(0, 80)).toMatch(/HTTP\/1\.1 4\d\d/)
    },
  ],
  [
    'leaves no path out of its folders, and finds nothing by ids and filters that are tricks',
    async raylog => {
      for (const path of ['instances/..%2f..%2fsecrets.key', 'instances/%00', 'instances/__proto__', 'instances/%ff'])
        expect([400, 404], path).toContain((await raylog.get(`/api/v1/${path}`)).status)
      for (const path of [
        '/assets/..%2f..%2fpackage.json',
        '/..%2fpackage.json',
        '/docs/static/..%2f..%2fpackage.json',
      ])
        expect((await raylog.get(path)).status, path).toBe(404)
      expect(await raylog.json("/api/v1/instances?study=' OR 1=1--")).toEqual({ items: [], next: null })
      for (const query of ['limit=-1', 'limit=1e9', 'limit=NaN', `cursor=${'A'.repeat(900)}`])
        expect((await raylog.get(`/api/v1/instances?${query}`)).status, query).toBe(400)
    },
  ],
  [
    'bounds previews and ranges',
    async raylog => {
      const { items } = await upload(raylog, await digitPng(12))
      const of = `/api/v1/instances/${items?.[0]?.id}`
      await expect.poll(async () => (await raylog.get(of)).status).toBe(200)
      for (const query of ['size=1e9', 'frame=1e9', 'frame=0', 'width=0&center=1', 'width=NaN&center=1', 'width=1'])
        expect((await raylog.get(`${of}/preview?${query}`)).status, query).toBe(400)
      expect((await raylog.get(`${of}/preview?frame=2`)).status).toBe(422)
      const range = async (value: string) => {
        const headers = { authorization: `Bearer ${raylog.token}`, range: value }
        const answer = await fetch(`${raylog.url}${of}/object`, { headers })
        return [answer.status, (await answer.arrayBuffer()).byteLength]
      }
      expect(await range('bytes=-1')).toEqual([206, 1])
      expect((await range('bytes=0-0,2-3'))[0]).toBe(200)
      expect((await range('bytes=99999999999999999999-'))[0]).toBe(416)
    },
  ],
  [
    'lets no other origin, host or guess at its sockets, and closes on giants',
    async ({ url, token }) => {
      const attempt = (auth: object, extraHeaders: Record<string, string> = {}) =>
        new Promise<string>(resolve => {
          const options = { path: '/live', transports: ['websocket'], reconnection: false, forceNew: true }
          const socket = io(url, { ...options, auth, extraHeaders })
          socket.on('connect_error', error => resolve(error.message))
          socket.on('disconnect', reason => resolve(reason))
          socket.on('connect', () => socket.emit('join', { rooms: ['x'.repeat(1_000_000)] }))
        })
      expect(await attempt({ token: { $gt: '' } })).toBe('unauthorized')
      for (const headers of [{ origin: 'http://evil.example' }, { origin: 'null' }, { host: 'evil.example' }])
        expect(await attempt({ token }, headers)).toBe('websocket error')
      expect(await attempt({ token })).toBe('transport close')
    },
  ],
]

export const onHttp: readonly Attack[] = [...bodies, ...archives, ...forms, ...requests]

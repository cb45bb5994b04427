/** Pictures by WADO-RS over HTTP: of an instance, a frame, a series and a study; thumbnails. */
import { describe, expect, it } from 'vitest'
import { filledNames, filledPerFile, fixture, openDicomweb, partsOf, token } from './kit.ts'

const filled = filledPerFile()
const { of } = filled

describe('WADO-RS', () => {
  it('renders a picture through the window asked for, within the viewport', async () => {
    const { path } = of('implicit-i16.dcm')
    const png = await filled.kit.ask(`${path}/rendered?window=40,400,linear&viewport=16,8`, {
      headers: { accept: 'image/png' },
    })
    expect([png.status, png.headers.get('content-type')]).toEqual([200, 'image/png'])
    const bytes = Buffer.from(await png.arrayBuffer())
    expect(bytes.readUInt32BE(20)).toBeLessThanOrEqual(8)
    // Each function of PS3.3 C.11.2.1 gives another picture; linear is what is meant where none is named.
    const pictureOf = async (window: string) => {
      const answer = await filled.kit.ask(`${path}/rendered?window=${window}`, { headers: { accept: 'image/png' } })
      expect(answer.status, window).toBe(200)
      return Buffer.from(await answer.arrayBuffer()).toString('base64')
    }
    const [plain, ...functions] = await Promise.all(
      ['40,40', '40,40,linear', '40,40,linear-exact', '40,40,SIGMOID'].map(pictureOf),
    )
    expect(functions[0]).toBe(plain)
    expect(new Set(functions).size).toBe(3)
    const jpeg = await filled.kit.ask(`${path}/frames/1/rendered?quality=50`)
    expect(jpeg.headers.get('content-type')).toBe('image/jpeg')
    for (const query of ['viewport=0,0', 'viewport=1', 'window=1', 'window=1,0', 'window=1,2,cubic', 'quality=0'])
      expect((await filled.kit.ask(`${path}/rendered?${query}`)).status).toBe(400)
    expect((await filled.kit.ask(`${path}/rendered`, { headers: { accept: 'image/gif' } })).status).toBe(406)
  })

  it('renders a study and a series: a picture of each image, the same as its own', async () => {
    const { study, series } = of('rgb.dcm')
    const accept = 'multipart/related; type="image/png"'
    const query = 'viewport=16,16'
    for (const above of [`/studies/${study}`, `/studies/${study}/series/${series}`]) {
      const answer = await filled.kit.ask(`${above}/rendered?${query}`, { headers: { accept } })
      expect([answer.status, answer.headers.get('warning')]).toEqual([200, null])
      expect(answer.headers.get('content-type')).toMatch(/^multipart\/related; type="image\/png"; boundary=/)
      const parts = await partsOf(answer)
      const places = filledNames.map(name => `${filled.kit.base}${of(name).path}/rendered`)
      expect(parts.map(({ headers }) => headers['content-location']).sort()).toEqual(places.sort())
      for (const { headers, body } of parts) {
        const own = await fetch(`${headers['content-location']}?${query}`, {
          headers: { authorization: `Bearer ${token}`, accept: 'image/png' },
        })
        expect(Buffer.from(await own.arrayBuffer()).equals(body)).toBe(true)
      }
    }
    const jpegs = await partsOf(await filled.kit.ask(`/studies/${study}/rendered`))
    expect(jpegs.map(({ headers }) => headers['content-type'])).toEqual(filledNames.map(() => 'image/jpeg'))
    const dicom = { headers: { accept: 'application/dicom' } }
    expect((await filled.kit.ask(`/studies/${study}/rendered`, dicom)).status).toBe(406)
    expect((await filled.kit.ask(`/studies/${study}/rendered?window=1`)).status).toBe(400)
    expect((await filled.kit.ask('/studies/1.2.3.4/rendered')).status).toBe(404)
  })

  it('renders of a study what has pixels that can be decoded, and says that something was left out', async () => {
    const kit = await openDicomweb()
    try {
      const { study } = of('rgb.dcm')
      const png = { headers: { accept: 'image/png' } }
      await kit.store([await fixture('no-pixels.dcm')])
      expect((await kit.ask(`/studies/${study}/rendered`)).status).toBe(404)
      await kit.store([await fixture('rgb.dcm')])
      const one = await kit.ask(`/studies/${study}/rendered`, png)
      expect([one.status, one.headers.get('content-type')]).toEqual([206, 'image/png'])
      const whole = await fixture('j2k-90-frames.dcm')
      // Its frames are there, and are no JPEG 2000 any more.
      const broken = Buffer.concat([whole.subarray(0, -900), Buffer.alloc(900)])
      await kit.store([broken, await fixture('palette-8.dcm')])
      const many = await kit.ask(`/studies/${study}/rendered`, png)
      expect([many.status, many.headers.get('warning')]).toEqual([206, expect.stringContaining('left out')])
      const drawn = (await partsOf(many)).map(({ headers }) => headers['content-location'])
      expect(drawn.map(place => place?.slice(kit.base.length)).sort()).toEqual(
        ['rgb.dcm', 'palette-8.dcm'].map(name => `${of(name).path}/rendered`).sort(),
      )
    } finally {
      await kit.close()
    }
  })
})

describe('a thumbnail', () => {
  it('stands for study, series and instance, small unless a viewport says otherwise', async () => {
    const { study, series, path } = of('rgb.dcm')
    const accept = { headers: { accept: 'image/png' } }
    for (const at of [`/studies/${study}`, `/studies/${study}/series/${series}`, path]) {
      const answer = await filled.kit.ask(`${at}/thumbnail?viewport=10,10`, accept)
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/png'])
      expect(Buffer.from(await answer.arrayBuffer()).readUInt32BE(16)).toBeLessThanOrEqual(10)
    }
    expect((await filled.kit.ask('/studies/1.2.3/thumbnail', accept)).status).toBe(404)
  })
})

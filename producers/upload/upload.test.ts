/** POST /api/v1/instances: forms, images as the body, archives. */
import { readdir } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { until } from '../../tests/harness/until.ts'
import { form, itemsOf, problemOf, token, uploadsPerTest } from '../../tests/harness/uploads.ts'
import { zipOf } from '../../tests/harness/zip.ts'
import { chestDicom, chestUids, digitPng } from '../simulator/phantoms.ts'

const start = uploadsPerTest()

describe('POST /api/v1/instances', () => {
  it('keeps every file of a form and tells each on its own', async () => {
    const stage = await start()
    const response = await stage.post(
      '/api/v1/instances',
      form({}, ['a.png', await digitPng(1)], ['notes.txt', Buffer.from('not an image')], ['b.dcm', chestDicom(2)]),
    )
    expect(response.status).toBe(201)
    const [png, text, dicom] = await itemsOf(response)
    expect(png).toMatchObject({ file: 'a.png', id: stage.published[0]?.id, study: stage.published[0]?.study })
    expect(text).toMatchObject({
      file: 'notes.txt',
      error: { code: 'not-an-image', remedy: expect.stringMatching(/./) },
    })
    expect(dicom).toMatchObject({ file: 'b.dcm', study: ids.study('main', chestUids(2).study) })
    expect(stage.published).toHaveLength(2)
    expect(stage.published[0]).toMatchObject({ source: { kind: 'upload', peer: '/api/v1/instances' }, dicom: null })
  })

  it('applies the fields before a file to it, and leaves what DICOM says itself as it is', async () => {
    const stage = await start()
    const fields = {
      model: 'digits',
      modality: 'ot',
      bodyPart: 'digit',
      view: 'pa',
      priority: 'urgent',
      study: 'demo 1',
    }
    await stage.post(
      '/api/v1/instances',
      form(fields, ['a.png', await digitPng(1)], ['b.png', await digitPng(2)], ['c.dcm', chestDicom(2)]),
    )
    const [a, b, c] = stage.published
    expect(a).toMatchObject({
      requested: ['digits'],
      modality: 'OT',
      bodyPart: 'DIGIT',
      view: 'PA',
      priority: 'urgent',
    })
    expect(a?.study).toBe(ids.study('main', 'demo 1'))
    expect(b?.study).toBe(a?.study)
    expect(c).toMatchObject({ modality: 'DX', bodyPart: 'CHEST', study: ids.study('main', chestUids(2).study) })
  })

  it('takes one image as the body, with the fields in the query', async () => {
    const stage = await start()
    const query = '?model=digits&modality=OT'
    const png = await stage.post(`/api/v1/instances${query}`, new Uint8Array(await digitPng(1)), {
      'content-type': 'image/png',
    })
    expect(png.status).toBe(201)
    const dicom = await stage.post('/api/v1/instances', new Uint8Array(chestDicom(1)), {
      'content-type': 'application/dicom',
    })
    expect(dicom.status).toBe(201)
    expect(stage.published).toMatchObject([{ requested: ['digits'], modality: 'OT' }, { modality: 'DX' }])
  })

  it('refuses fields, models and bodies that are none', async () => {
    const stage = await start()
    const png = await digitPng(1)
    const refused = async (body: FormData) => (await problemOf(await stage.post('/api/v1/instances', body))).code
    expect(await refused(form({ colour: 'red' }, ['a.png', png]))).toBe('bad-request')
    expect(await refused(form({ priority: 'soon' }, ['a.png', png]))).toBe('bad-request')
    expect(await refused(form({ model: 'cats' }, ['a.png', png]))).toBe('no-such-model')
    expect(await refused(form({ model: 'digits' }))).toBe('empty-upload')
    const json = await stage.post('/api/v1/instances', '{}', { 'content-type': 'application/json' })
    expect((await problemOf(json)).code).toBe('bad-request')
    expect(stage.published).toHaveLength(0)
  })

  it('answers 422 when no file could be stored', async () => {
    const stage = await start()
    const response = await stage.post('/api/v1/instances', form({}, ['a', Buffer.from('x')], ['b', Buffer.alloc(0)]))
    expect(response.status).toBe(422)
    expect((await itemsOf(response)).map(item => item.error?.code)).toEqual(['not-an-image', 'empty-upload'])
  })

  it('answers 503 with Retry-After while the log is away, and takes the file when it is back', async () => {
    let away = true
    const stage = await start({
      publishing() {
        if (away) throw new RaylogError('log-unavailable', 'no broker')
      },
    })
    const send = async () => stage.post('/api/v1/instances', form({}, ['a.png', await digitPng(1)]))
    const refused = await send()
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, expect.stringMatching(/\d/)])
    away = false
    expect((await send()).status).toBe(201)
    expect(stage.published).toHaveLength(1)
  })

  it('answers 507 while the disk is full', async () => {
    const stage = await start()
    stage.stores.objects.put = () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }))
    expect((await stage.post('/api/v1/instances', form({}, ['a.png', await digitPng(1)]))).status).toBe(507)
  })

  it('refuses one file that is too large and takes its neighbours', async () => {
    const stage = await start({ http: { maxUploadBytes: 200_000 } })
    const response = await stage.post(
      '/api/v1/instances',
      form({}, ['a.png', await digitPng(1)], ['b.dcm', chestDicom(1, { size: 1024 })], ['c.png', await digitPng(2)]),
    )
    const items = await itemsOf(response)
    expect(items.map(item => item.error?.code)).toEqual([undefined, 'too-large', undefined])
    expect(stage.published).toHaveLength(2)
  })

  it('keeps nothing of a file whose sender vanishes', async () => {
    const stage = await start()
    const file = chestDicom(1, { size: 1024 })
    const { port } = new URL(stage.address)
    const outgoing = httpRequest({
      port,
      path: '/api/v1/instances',
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/dicom', 'content-length': file.length },
    })
    outgoing.on('error', () => undefined)
    outgoing.write(file.subarray(0, 1_500_000))
    await until('it has been sent', () => outgoing.socket !== null && outgoing.socket.writableLength === 0)
    outgoing.destroy()
    await until('it is given up', async () => (await stage.received('truncated')) === 1)
    expect(await stage.objectCount()).toBe(0)
  })

  it('wants the token', async () => {
    const stage = await start()
    const response = await fetch(`${stage.address}/api/v1/instances`, {
      method: 'POST',
      body: form({}, ['a', Buffer.from('x')]),
    })
    expect(response.status).toBe(401)
  })

  it('is described in the OpenAPI document', async () => {
    const stage = await start()
    const response = await fetch(`${stage.address}/docs/json`, { headers: { authorization: `Bearer ${token}` } })
    const { paths } = z.object({ paths: z.record(z.string(), z.unknown()) }).parse(await response.json())
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(['/api/v1/instances', '/api/v1/predictions']))
  })
})

describe('a ZIP archive', () => {
  const sendZip = async (stage: Awaited<ReturnType<typeof start>>, zip: Buffer) =>
    itemsOf(await stage.post('/api/v1/instances', form({}, ['all.zip', zip])))

  it('is unpacked, and each of its files told on its own; names with path tricks are only names', async () => {
    const stage = await start()
    const items = await sendZip(
      stage,
      zipOf({
        '../../etc/a.png': await digitPng(1),
        'C:\\windows\\b.dcm': chestDicom(1),
        'folder/c.txt': Buffer.from('no image'),
        '__MACOSX/._a.png': Buffer.from('noise'),
        '.DS_Store': Buffer.from('noise'),
      }),
    )
    const byName = Object.fromEntries(items.map(item => [item.file, item.error?.code ?? 'stored']))
    expect(byName).toEqual({
      'all.zip/../../etc/a.png': 'stored',
      'all.zip/C:\\windows\\b.dcm': 'stored',
      'all.zip/folder/c.txt': 'not-an-image',
    })
    expect(await readdir(join(stage.stores.folder, 'tmp', 'upload'))).toEqual([])
  })

  it.each([
    ['within another', async () => zipOf({ 'inner.zip': zipOf({ 'a.png': await digitPng(1) }) })],
    [
      'with more entries than allowed',
      async () => zipOf({ a: await digitPng(1), b: await digitPng(2), c: await digitPng(3), d: await digitPng(4) }),
    ],
    ['that unpacks to far more than it has', async () => zipOf({ a: Buffer.alloc(3_000_000) })],
    ['that is cut off', async () => zipOf({ a: chestDicom(1) }).subarray(0, 50_000)],
    ['whose data are damaged', async () => zipOf({ a: chestDicom(1) }).fill(0x55, 5_000, 9_000)],
  ])('%s is refused', async (_what, make) => {
    const stage = await start({ settings: { zip: { maxEntries: 3 } } })
    const items = await sendZip(stage, await make())
    expect(items.map(item => item.error?.code)).toEqual(['zip-refused'])
    expect(stage.published).toHaveLength(0)
    expect(await readdir(join(stage.stores.folder, 'tmp', 'upload'))).toEqual([])
  })
})

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Started, startGateway } from '../tests/gateway/kit.ts'
import { aDelivery, anInstance, aParked, aPrediction, aReport, aStudy, began } from '../tests/gateway/samples.ts'

let gateway: Started
const pdf = Buffer.from('%PDF-1.7 of a report')
const pixels = Buffer.from('0123456789abcdefghij')

beforeAll(async () => {
  gateway = await startGateway()
  const { documents, objects } = gateway
  const stored = await objects.put(pixels, 'application/dicom')
  const report = await objects.put(pdf, 'application/pdf')
  const numbers = Array.from({ length: 120 }, (_, n) => n)
  await documents.upsert(
    'instances',
    numbers.map(n => anInstance(n, { object: stored, ...(n === 7 && { patient: 'pt_7' }) })),
  )
  await documents.upsert(
    'predictions',
    numbers.map(n => aPrediction(n)),
  )
  await documents.upsert(
    'studies',
    numbers.slice(0, 10).map(n => aStudy(n)),
  )
  await documents.upsert('reports', [aReport(1, { object: report.key, bytes: report.bytes }), aReport(2)])
  await documents.upsert('deliveries', [
    aDelivery(1),
    aDelivery(2, { state: 'failed', code: 'delivery-failed', message: 'refused' }),
  ])
  await documents.upsert('parked', [aParked(3)])
  const name = JSON.stringify({
    name: 'Canary^Jane',
    patientId: '1',
    issuer: null,
    birthDate: null,
    sex: null,
    accession: null,
  })
  await documents.upsert('patients', [{ id: 'pt_7', site: 'main', sealed: gateway.secrets.seal(name, 'pt_7') }])
})
afterAll(() => gateway?.[Symbol.asyncDispose]())

const page = z.object({ items: z.array(z.object({ id: z.string() })), next: z.string().nullable() })
const get = async (path: string) => {
  const answer = await gateway.ask(`/api/v1/${path}`)
  return { status: answer.status, headers: answer.headers, body: await answer.json() }
}

describe('lists', () => {
  it.each(['instances', 'predictions'])('of %s give every item once over their pages, newest first', async kind => {
    const seen: string[] = []
    let next: string | null = ''
    while (next !== null) {
      const cursor: string = next === '' ? '' : `&cursor=${encodeURIComponent(next)}`
      const { items, next: following } = page.parse((await get(`${kind}?limit=25${cursor}`)).body)
      seen.push(...items.map(({ id }) => id))
      next = following
    }
    expect(seen).toHaveLength(120)
    expect(seen).toEqual([...new Set(seen)].toSorted().toReversed())
  })

  it.each([
    ['instances?modality=CT', 60],
    ['instances?modality=CT&study=st_0001', 12],
    ['instances?source=upload&limit=1000', 120],
    ['instances?source=dimse', 0],
    ['instances?patient=pt_7', 1],
    ['predictions?model=chest&label=pneumonia&limit=100', 40],
    ['predictions?instance=in_0005', 1],
    ['predictions?role=shadow', 0],
    ['studies?modality=DX', 10],
    ['reports?instance=in_0001', 1],
    ['parked?stage=infer&state=parked', 1],
    ['parked?state=dropped', 0],
  ])('filter %s', async (path, count) => {
    const list = page.parse((await get(`${path}${path.includes('limit') ? '' : '&limit=60'}`)).body)
    expect(list.items).toHaveLength(count)
  })

  it.each([
    ['instances?limit=1001', 'querystring.limit'],
    ['instances?limit=0', 'querystring.limit'],
    ['predictions?role=boss', 'querystring.role'],
    ['instances/in_0001/preview?size=1', 'querystring.size'],
    ['instances/in_0001/preview?center=40', 'querystring.width'],
  ])('and queries out of bounds, such as %s, are refused by field', async (path, field) => {
    expect(await get(path)).toMatchObject({ status: 400, body: { code: 'bad-request', fields: [{ path: field }] } })
  })

  it('refuse a cursor that is none', async () => {
    expect(await get('instances?cursor=rubbish')).toMatchObject({ status: 400, body: { code: 'bad-request' } })
  })

  it('of studies count what is in them', async () => {
    const { body } = await get('studies')
    const study = { id: 'st_0001', instances: 12, predictions: 12, reports: 1 }
    expect(body).toMatchObject({ items: expect.arrayContaining([expect.objectContaining(study)]) })
  })
})

describe('one', () => {
  it('instance comes with all that is known of it', async () => {
    const { body } = await get('instances/in_0002')
    expect(body).toMatchObject({
      instance: { id: 'in_0002', receivedAt: began + 2 },
      predictions: [{ id: 'pr_0002' }],
      reports: [{ id: 'rp_0002' }],
      deliveries: [{ id: 'dl_0002', state: 'failed' }],
      routes: [{ accepted: true, model: { name: 'chest' } }],
      patient: null,
      sameUid: [],
    })
  })

  it('instance says what de-identification did to it, which no list does; one from before that says nothing', async () => {
    const name = { tag: '00100010', name: "Patient's Name", action: 'dummy', count: 1 }
    const deidentified = { options: ['clean-pixels'], changes: [name], pixels: 'untouched' }
    const { deidentified: _, ...older } = anInstance(706, { study: 'st_0705' })
    const clean = anInstance(705, { study: 'st_0705', deidentified })
    await gateway.documents.upsert('instances', [clean, older as typeof clean])
    expect((await get('instances/in_0705')).body).toMatchObject({ instance: { deidentified } })
    expect((await get('instances/in_0706')).body).toMatchObject({ instance: { deidentified: null } })
    const { body } = await get('instances?study=st_0705')
    expect(body).toMatchObject({ items: [{ id: 'in_0706' }, { id: 'in_0705' }] })
    expect(JSON.stringify(body)).not.toContain('deidentified')
    for (const { id } of [clean, older]) await gateway.documents.delete('instances', id)
  })

  it('instance says which others have its SOP Instance UID and other content', async () => {
    const uid = {
      sopClass: '1.2',
      sopInstance: '9.8.7',
      series: '9.8',
      study: '9',
      transferSyntax: '1.2.840.10008.1.2',
    }
    const same = [701, 702, 703].map(n => anInstance(n, { dicom: uid, receivedAt: 1_000 + n }))
    const elsewhere = anInstance(704, { dicom: uid, site: 'another', receivedAt: 1_704 })
    await gateway.documents.upsert('instances', [...same, elsewhere])
    const { body } = await get('instances/in_0702')
    expect(body).toMatchObject({ sameUid: [{ id: 'in_0703' }, { id: 'in_0701' }] })
    for (const { id } of [...same, elsewhere]) await gateway.documents.delete('instances', id)
  })

  it('study comes with its instances', async () => {
    const { body } = await get('studies/st_0003')
    const parsed = z.object({ instances: z.array(z.unknown()), truncated: z.boolean() }).parse(body)
    expect([parsed.instances.length, parsed.truncated]).toEqual([12, false])
  })

  it.each(['instances/none', 'instances/none/explain', 'studies/none', 'predictions/none', 'reports/none', 'nothing'])(
    '%s that is not there is 404',
    async path => expect(await get(path)).toMatchObject({ status: 404, body: { code: 'not-found' } }),
  )

  it('explains what happened in order, with codes and remedies', async () => {
    const { body } = await get('instances/in_0003/explain')
    expect(body).toMatchObject({
      routes: [{ accepted: false, reason: 'modality CT is not DX' }],
      steps: [
        { what: 'received', stage: 'upload' },
        { what: 'parked', stage: 'infer', code: 'decode-failed', remedy: expect.stringContaining('damaged') },
        { what: 'predicted', stage: 'infer' },
      ],
    })
    const failed = await get('instances/in_0002/explain')
    expect(failed.body).toMatchObject({
      steps: expect.arrayContaining([expect.objectContaining({ what: 'delivered', code: 'delivery-failed' })]),
    })
    // Of the second there is no file.
    const reported = { what: 'reported', stage: 'report' }
    expect(failed.body).toMatchObject({
      steps: expect.arrayContaining([expect.objectContaining({ ...reported, text: 'PDF page of one image made' })]),
    })
    expect((await get('instances/in_0001/explain')).body).toMatchObject({
      steps: expect.arrayContaining([
        expect.objectContaining({ ...reported, text: 'PDF page of one image made, kept here' }),
      ]),
    })
  })

  it("patient's name is not told unless the settings say so", async () => {
    const { body } = await get('instances/in_0007')
    expect(body).toMatchObject({ patient: { pseudonym: 'pt_7' } })
    expect(JSON.stringify(body)).not.toContain('Canary')
  })
})

describe('pictures and bytes', () => {
  it('of an instance are made once for a client that has them', async () => {
    const first = await gateway.ask('/api/v1/instances/in_0001/preview?size=32')
    expect(first.headers.get('content-type')).toBe('image/png')
    expect(
      Buffer.from(await first.arrayBuffer())
        .subarray(1, 4)
        .toString(),
    ).toBe('PNG')
    expect(first.headers.get('cache-control')).toBe('private, max-age=31536000, immutable')
    const etag = first.headers.get('etag') ?? ''
    const made = gateway.previews.made
    const again = await gateway.ask('/api/v1/instances/in_0001/preview?size=32', { headers: { 'if-none-match': etag } })
    expect([again.status, gateway.previews.made]).toEqual([304, made])
    const other = await gateway.ask('/api/v1/instances/in_0001/preview?size=33', { headers: { 'if-none-match': etag } })
    expect(other.status).toBe(200)
    await other.arrayBuffer()
  })

  it.each([
    ['bytes=0-3', 206, 'bytes 0-3/20', '0123'],
    ['bytes=15-', 206, 'bytes 15-19/20', 'fghij'],
    ['bytes=-2', 206, 'bytes 18-19/20', 'ij'],
    ['bytes=18-900', 206, 'bytes 18-19/20', 'ij'],
    ['bytes=0-1,4-5', 200, null, '0123456789abcdefghij'],
    ['bytes=5-2', 200, null, '0123456789abcdefghij'],
    ['bytes=20-', 416, 'bytes */20', undefined],
  ])('come by range %s', async (range, status, contentRange, text) => {
    const answer = await gateway.ask('/api/v1/instances/in_0001/object', { headers: { range } })
    const body = await answer.text()
    expect([answer.status, answer.headers.get('content-range')]).toEqual([status, contentRange])
    if (text !== undefined) expect(body).toBe(text)
  })

  it('ignore a range of another version', async () => {
    const headers = { range: 'bytes=0-3', 'if-range': '"another"' }
    const answer = await gateway.ask('/api/v1/instances/in_0001/object', { headers })
    expect([answer.status, (await answer.text()).length]).toEqual([200, 20])
  })

  it('are saved under a safe name, and a HEAD tells their length', async () => {
    const answer = await gateway.ask('/api/v1/instances/in_0001/object', { method: 'HEAD' })
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename="in_0001.dcm"')
    expect([answer.headers.get('content-length'), await answer.text()]).toEqual(['20', ''])
  })

  it('of a PDF report open in the browser', async () => {
    const answer = await gateway.ask('/api/v1/reports/rp_0001/object')
    expect(answer.headers.get('content-type')).toBe('application/pdf')
    expect(answer.headers.get('content-disposition')).toBe('inline; filename="rp_0001.pdf"')
    expect(await answer.text()).toBe(pdf.toString())
  })

  it('that are gone say so', async () => {
    await gateway.documents.upsert('instances', [anInstance(900)])
    expect(await get('instances/in_0900/object')).toMatchObject({ status: 404, body: { code: 'object-missing' } })
    await gateway.documents.delete('instances', 'in_0900')
  })
})

describe('the whole', () => {
  it('is counted by collection, model, label and modality', async () => {
    const { body } = await get('stats')
    expect(body).toMatchObject({
      totals: { instances: 120, predictions: 120, studies: 10, reports: 2, deliveries: 2, parked: 1, patients: 1 },
      parked: 1,
      byModel: [{ model: 'chest', total: 120, labels: { pneumonia: 40, normal: 80 } }],
      byModality: { DX: 60, CT: 60 },
      rates: { minute: { received: 0, predictions: 0 }, hour: { received: 0 } },
    })
  })

  it('tells models, endpoints, topics and lag', async () => {
    gateway.endpoints.set('dimse', { host: '127.0.0.1', port: 11112 })
    await gateway.log.seek('infer', [{ topic: 'imaging.instances.v1', partition: 0, offset: 0 }])
    expect((await get('models')).body).toMatchObject({
      items: [{ manifest: { card: { licence: 'CC0' } }, state: 'ready' }],
    })
    expect((await get('endpoints')).body).toEqual({ dimse: { host: '127.0.0.1', port: 11112 } })
    expect((await get('log/topics')).body).toMatchObject({
      items: expect.arrayContaining([expect.objectContaining({ name: 'imaging.instances.v1', partitions: 6 })]),
    })
    expect((await get('monitoring/lag')).body).toMatchObject({
      items: [{ stage: 'infer', topic: 'imaging.instances.v1', lag: 0 }],
    })
  })
})

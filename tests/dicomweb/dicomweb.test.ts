/** QIDO-RS over HTTP, what a viewer asks for one after another, and what the audit is told of all of it. */
import { describe, expect, it } from 'vitest'
import { until } from '../harness/until.ts'
import { boundary, filledNames, filledPerFile, fixture, partsOf, problemOf, related } from './kit.ts'

const filled = filledPerFile()
const { of, bytesOf } = filled

describe('QIDO-RS', () => {
  it('lists studies as DICOM JSON, with what each always has', async () => {
    const { study, path } = of('rgb.dcm')
    const [found, ...rest] = await filled.kit.json(`/studies?StudyInstanceUID=${study}`)
    expect(rest).toEqual([])
    expect(found).toMatchObject({
      '0020000D': { vr: 'UI', Value: [study] },
      '00081190': { vr: 'UR', Value: [`${filled.kit.base}${path.split('/series')[0]}`] },
      '00201206': { vr: 'IS', Value: [1] },
      '00080056': { vr: 'CS', Value: ['ONLINE'] },
      '00100020': { vr: 'LO' },
    })
  })

  it('lists series and instances, nested and not', async () => {
    const { study, series, instance } = of('rle-frames.dcm')
    for (const path of [`/studies/${study}/series`, `/series?SeriesInstanceUID=${series}`])
      expect(await filled.kit.json(path)).toMatchObject([
        { '0020000E': { Value: [series] }, '0020000D': { Value: [study] } },
      ])
    expect(await filled.kit.json(`/studies/${study}/series/${series}/instances`)).toHaveLength(filledNames.length)
    const all = [
      `/studies/${study}/series/${series}/instances?SOPInstanceUID=${instance}`,
      `/studies/${study}/instances?SOPInstanceUID=${instance}`,
      `/instances?0020000E=${series}&00080018=${instance},1.2.3`,
    ]
    for (const path of all)
      expect(await filled.kit.json(path)).toMatchObject([
        {
          '00080018': { vr: 'UI', Value: [instance] },
          '00083002': { vr: 'UI', Value: ['1.2.840.10008.1.2.5'] },
          '00280010': { vr: 'US' },
        },
      ])
    expect(await filled.kit.json('/studies/1.2.3/series')).toEqual([])
  })

  it('gives fields that are asked for, and all', async () => {
    const { study, instance } = of('rgb.dcm')
    const [plain] = await filled.kit.json(`/studies/${study}/series`)
    expect(Object.keys(plain ?? {})).not.toContain('00081030')
    const [some] = await filled.kit.json(
      `/studies/${study}/series?includefield=StudyDescription,00080070&includefield=00100010`,
    )
    expect(Object.keys(some ?? {})).toEqual(expect.arrayContaining(['00081030', '00080070', '00100010']))
    const [all] = await filled.kit.json(`/studies/${study}/instances?SOPInstanceUID=${instance}&includefield=all`)
    expect(all).toMatchObject({ '00280004': { vr: 'CS', Value: ['RGB'] } })
  })

  it('passes over, stops, and says that there is more', async () => {
    const all = await filled.kit.json('/instances')
    expect(all).toHaveLength(filledNames.length)
    const answer = await filled.kit.ask('/instances?limit=2&offset=1')
    expect(answer.headers.get('warning')).toContain('additional results')
    expect(JSON.parse(await answer.text())).toEqual(all.slice(1, 3))
    const last = await filled.kit.ask(`/instances?offset=${filledNames.length - 1}&limit=5`)
    expect([JSON.parse(await last.text()), last.headers.get('warning')]).toEqual([all.slice(-1), null])
    expect(await filled.kit.json('/instances?limit=0')).toEqual([])
  })

  it('warns of what it does not do: fuzzy matching, keys that are not indexed', async () => {
    const fuzzy = await filled.kit.ask('/studies?fuzzymatching=true&PatientName=nobody')
    expect(fuzzy.headers.get('warning')).toBe(
      '299 raylog "The fuzzymatching parameter is not supported. Only literal matching has been performed."',
    )
    expect((await filled.kit.ask('/studies?fuzzymatching=false')).headers.get('warning')).toBeNull()
    expect((await filled.kit.ask('/studies?00189999=x')).headers.get('warning')).toContain('00189999')
  })

  it.each([
    '/studies?limit=-1',
    '/studies?offset=x',
    '/studies?fuzzymatching=maybe',
    '/studies?StudyDate=yesterday',
    "/studies?a'b=1",
    '/studies/not-a-uid/series',
  ])('refuses %s', async path => {
    const answer = await filled.kit.ask(path)
    expect([answer.status, (await problemOf(answer)).code]).toEqual([400, 'bad-request'])
  })
})

describe('a viewer', () => {
  it('finds its list of studies, the series of one, their metadata and frames by the very requests that OHIF sends', async () => {
    const { study, series, path } = of('rle-frames.dcm')
    const accept = { headers: { accept: 'application/dicom+json' } }
    const list = await filled.kit.ask(
      '/studies?limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060%2C00080090&StudyDate=19000101-20991231',
      accept,
    )
    expect([list.status, JSON.parse(await list.text()).length]).toEqual([200, 1])
    const all = await filled.kit.ask(
      '/studies?limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060',
      accept,
    )
    const [found] = JSON.parse(await all.text())
    for (const tag of ['0020000D', '00080020', '00080030', '00080050', '00080061', '00100010', '00100020', '00201208'])
      expect(Object.keys(found), tag).toContain(tag)
    const fields = '0008103E,00080021,00080031,0008103E,00080060,0020000E'
    const listed = await filled.kit.ask(`/studies/${study}/series?includefield=${fields}`, accept)
    expect(JSON.parse(await listed.text())).toMatchObject([
      { '0020000E': { Value: [series] }, '00201209': { Value: [filledNames.length] } },
    ])
    const metadata = await filled.kit.json(`/studies/${study}/series/${series}/metadata`)
    expect(metadata).toHaveLength(filledNames.length)
    for (const one of metadata)
      for (const tag of [
        '00080016',
        '00080018',
        '0020000D',
        '0020000E',
        '00280010',
        '00280011',
        '00280100',
        '7FE00010',
      ])
        expect(Object.keys(one), tag).toContain(tag)
    const frame = await filled.kit.ask(`${path}/frames/1`, {
      headers: { accept: 'multipart/related; type=application/octet-stream; transfer-syntax=*' },
    })
    const [part] = await partsOf(frame)
    expect(part?.headers['content-type']).toContain('transfer-syntax=1.2.840.10008.1.2.5')
  })
})

describe('the audit', () => {
  const told = async (path: string, accept: string) => {
    filled.kit.audited.length = 0
    const answer = await filled.kit.ask(path, { headers: { accept } })
    await answer.arrayBuffer()
    await until('it is told', () => filled.kit.audited.length > 0)
    return filled.kit.audited.map(({ action, actor, object, outcome, address, detail }) => ({
      ...{ action, actor, object, outcome, address },
      ...detail,
    }))
  }
  const who = { actor: 'token', address: '127.0.0.1', outcome: 'success' }

  it('says what a request stored that broke off afterwards', async () => {
    const { length } = filled.kit.producer.audited
    const whole = related([await fixture('rgb.dcm')])
    const dicomType = `multipart/related; type="application/dicom"; boundary=${boundary}`
    const end = `--${boundary}--\r\n`
    const body = Buffer.concat([whole.subarray(0, -end.length), Buffer.from(`--${boundary}\r\n\r\nDICM`)])
    const answer = await filled.kit.ask('/studies', { method: 'POST', headers: { 'content-type': dicomType }, body })
    expect(answer.status).toBe(422)
    await until('it is told', () => filled.kit.producer.audited.length > length)
    expect(filled.kit.producer.audited.slice(length)).toMatchObject([
      { action: 'instances-received', outcome: 'success', detail: { study: of('rgb.dcm').study } },
    ])
  })

  it('says who searched, by the names of the keys and never by what was searched for', async () => {
    const entries = await told('/studies?PatientName=Secret*&00100020=4711&limit=1', 'application/dicom+json')
    expect(entries).toEqual([{ ...who, action: 'query', object: 'STUDY', query: 'STUDY PatientName PatientID' }])
    expect(JSON.stringify(entries)).not.toMatch(/Secret|4711/)
  })

  it("says whose images were looked at, by the patient's pseudonym", async () => {
    const { study, path } = of('rgb.dcm')
    const patient = expect.stringMatching(/^pt_/)
    const image = { ...who, object: study, study, patient }
    const frames = 'multipart/related; type="application/octet-stream"'
    for (const [at, accept] of [
      [`${path}/metadata`, 'application/dicom+json'],
      [`${path}/frames/1`, frames],
      [`${path}/rendered`, 'image/png'],
      [`${path}/bulkdata/7FE00010`, frames],
    ] as const)
      expect(await told(at, accept)).toEqual([{ ...image, action: 'instances-accessed' }])
  })

  it('says what went out, and that it began to', async () => {
    const { study, path } = of('rgb.dcm')
    await told(path, 'application/dicom')
    await until('it is over', () => filled.kit.audited.length === 2)
    expect(filled.kit.audited).toMatchObject([
      { action: 'instances-sending', object: study, detail: { study } },
      { action: 'instances-sent', outcome: 'success', detail: { sopClasses: expect.stringMatching(/^[0-9.]+=1$/) } },
    ])
  })

  it('says what came by STOW-RS', async () => {
    const { length } = filled.kit.producer.audited
    await filled.kit.store([bytesOf('rgb.dcm')])
    await filled.kit.producer.drain()
    expect(filled.kit.producer.audited.slice(length)).toMatchObject([
      {
        ...who,
        action: 'instances-received',
        detail: { study: of('rgb.dcm').study, patient: expect.stringMatching(/^pt_/) },
      },
    ])
  })
})

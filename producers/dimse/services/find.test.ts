import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { commandField, writeCancel, writeQueryRequest } from '../../../dicom/command.ts'
import { explicitLittle, implicitLittle, writeElements } from '../../../dicom/data-set.ts'
import type { DicomAttributes } from '../../../schemas/dicom-json.ts'
import {
  find,
  imageFile,
  type OpenNode,
  openNode,
  patientRoot,
  peerOf,
  studyRoot,
} from '../../../tests/harness/dicom-node.ts'
import { associate, dataPdus, releaseRequest, statusOf } from '../../../tests/harness/dicom-peer.ts'
import { nextMessage } from '../../../tests/harness/get-scu.ts'
import { openStores } from '../../../tests/harness/stores.ts'
import { until } from '../../../tests/harness/until.ts'

let node: OpenNode
beforeEach(async () => {
  node = await openNode({ settings: { query: { maxMatches: 500 } } })
})
afterEach(() => node[Symbol.asyncDispose]())

const text = (vr: string, ...Value: string[]) => ({ vr, Value })
const asked = (level: string, keys: DicomAttributes): DicomAttributes => ({ '00080052': text('CS', level), ...keys })

/** Two patients, three studies. */
async function keepSome(): Promise<void> {
  const image = (n: number, more: DicomAttributes) =>
    imageFile({ '00080018': text('UI', `1.9.${n}`), '00200013': text('IS', String(n)), ...more })
  const study = (uid: string, date: string, more: DicomAttributes) => ({
    '00080020': text('DA', date),
    '0020000D': text('UI', uid),
    ...more,
  })
  const first = { '00100010': text('PN', 'Alpha^Anna'), '00100020': text('LO', 'P1') }
  await node.keep(
    image(1, { ...first, ...study('1.1', '20240101', { '0020000E': text('UI', '1.1.1') }) }),
    image(2, { ...first, ...study('1.1', '20240101', { '0020000E': text('UI', '1.1.1') }) }),
    image(3, {
      ...first,
      ...study('1.1', '20240101', { '0020000E': text('UI', '1.1.2'), '00080060': text('CS', 'SR') }),
    }),
    image(4, {
      ...first,
      ...study('1.2', '20240301', { '0020000E': text('UI', '1.2.1'), '00080050': text('SH', 'ACC2') }),
    }),
  )
  const bytes = Buffer.concat([
    writeElements(
      { '00080005': text('CS', 'ISO_IR 100'), '00080016': text('UI', '1.2.840.10008.5.1.4.1.1.7') },
      explicitLittle,
    ),
    writeElements({ '00080018': text('UI', '1.9.5'), '00080020': text('DA', '20250101') }, explicitLittle),
    Buffer.from([0x10, 0, 0x10, 0, 0x50, 0x4e, 10, 0]),
    Buffer.from('M\u00fcller^Eva', 'latin1'),
    writeElements(
      { '00100020': text('LO', 'P2'), '0020000D': text('UI', '1.3'), '0020000E': text('UI', '1.3.1') },
      explicitLittle,
    ),
  ])
  await node.keep(imageFile({ '00080018': text('UI', '1.9.5') }, { bytes }))
}

const uids = (found: Awaited<ReturnType<typeof find>>, tag: string) =>
  found.matches.map(match => match.text(tag, 'UI')).toSorted()

describe('C-FIND', () => {
  it('answers at each level of both models, with the keys that were asked for and no others', async () => {
    await keepSome()
    const empty = (vr: string) => ({ vr })
    const patients = await find(
      node.port,
      asked('PATIENT', { '00100020': empty('LO'), '00100010': text('PN', 'alpha*') }),
      `${patientRoot}1`,
    )
    expect(patients.statuses).toEqual([0xff00, 0])
    expect(patients.matches[0]?.text('00100010', 'PN')).toBe('Alpha^Anna')
    expect(patients.matches[0]?.tags).toEqual(['00080005', '00080052', '00080054', '00100010', '00100020'])
    const studies = await find(
      node.port,
      asked('STUDY', { '0020000D': empty('UI'), '00080020': text('DA', '20240201-') }),
    )
    expect(uids(studies, '0020000D')).toEqual(['1.2', '1.3'])
    const series = await find(
      node.port,
      asked('SERIES', {
        '0020000D': text('UI', '1.1'),
        '0020000E': empty('UI'),
        '00080060': empty('CS'),
        '00201209': empty('IS'),
      }),
    )
    expect(
      series.matches
        .map(each => [each.text('0020000E', 'UI'), each.text('00080060', 'CS'), each.text('00201209', 'IS')])
        .toSorted(),
    ).toEqual([
      ['1.1.1', 'OT', '2'],
      ['1.1.2', 'SR', '1'],
    ])
    const images = await find(
      node.port,
      asked('IMAGE', { '0020000E': text('UI', '1.1.1'), '00080018': text('UI', '1.9.2', '1.9.3') }),
    )
    expect(uids(images, '00080018')).toEqual(['1.9.2'])
    expect(images.matches[0]?.text('0020000D', 'UI')).toBe('1.1')
  })

  it('answers in UTF-8, whatever the image was written in, and says so', async () => {
    await keepSome()
    const found = await find(node.port, asked('STUDY', { '00100020': text('LO', 'P2'), '00100010': { vr: 'PN' } }))
    expect(found.matches[0]?.text('00080005', 'CS')).toBe('ISO_IR 192')
    expect(found.matches[0]?.text('00100010', 'PN')).toBe('Müller^Eva')
    const byName = await find(node.port, {
      '00080005': text('CS', 'ISO_IR 192'),
      ...asked('STUDY', { '00100010': text('PN', 'müll*') }),
    })
    expect(uids(byName, '0020000D')).toEqual(['1.3'])
  })

  it('says of keys that it does not have that they narrowed nothing', async () => {
    await keepSome()
    const found = await find(node.port, asked('STUDY', { '0020000D': text('UI', '1.1'), '00189999': text('LO', 'x') }))
    expect(found.statuses).toEqual([0xff01, 0])
    expect(found.matches[0]?.text('00189999', 'LO')).toBeUndefined()
    const counted = { '0020000D': text('UI', '1.1'), '00201206': text('IS', '9'), '00201208': { vr: 'IS' } }
    const counts = await find(node.port, asked('STUDY', counted))
    expect(counts.statuses).toEqual([0xff01, 0])
    expect(counts.matches[0]?.text('00201206', 'IS')).toBe('2')
  })

  it.each([
    ['has no level', { '0020000D': text('UI', '1.1') }, 0xa900],
    ['asks for a level of another model', asked('PATIENT', {}), 0xa900],
    ['asks for a date that is none', asked('STUDY', { '00080020': text('DA', 'yesterday') }), 0xc000],
  ])('refuses an identifier that %s', async (_what, identifier, status) => {
    expect((await find(node.port, identifier)).statuses).toEqual([status])
  })

  it('refuses an identifier that cannot be read, or is longer than it may be, and goes on', async () => {
    const contexts = [{ abstract: `${studyRoot}1`, syntaxes: [implicitLittle] }]
    using peer = await associate(node.port, { contexts })
    const request = dataPdus(1, true, writeQueryRequest(commandField.find, 7, `${studyRoot}1`))
    peer.write(Buffer.concat([request, dataPdus(1, false, Buffer.alloc(1_001, 0x41))]))
    expect(statusOf(await peer.next()).status).toBe(0xc000)
    peer.write(Buffer.concat([request, dataPdus(1, false, Buffer.alloc(2_000_000))]))
    expect(statusOf(await peer.next()).status).toBe(0xc000)
    peer.write(releaseRequest())
    expect(await peer.next()).toMatchObject({ type: 6 })
  })
})

/** Studies in the index, as persist writes them. */
async function fill(count: number, { documents, secrets } = node.stage.stores): Promise<void> {
  for (let from = 0; from < count; from += 1_000)
    await documents.upsert(
      'dicomStudies',
      Array.from({ length: Math.min(1_000, count - from) }, (_, i) => {
        const id = `st_${from + i}`
        const values = {
          '0020000D': [`1.2.${from + i}`],
          '00081030': ['x'.repeat(60)],
          '001021B0': ['y'.repeat(4_000)],
        }
        return {
          ...{
            id,
            site: 'main',
            at: from + i + 1,
            uid: `1.2.${from + i}`,
            patient: null,
            patientId: null,
            family: null,
          },
          ...{ accession: null, modalities: '', sealed: secrets.seal(JSON.stringify(values), id) },
        }
      }),
    )
}

describe('thousands of matches', () => {
  const identifier = asked('STUDY', { '0020000D': { vr: 'UI' }, '001021B0': { vr: 'LT' } })
  const contexts = [{ abstractSyntax: `${studyRoot}1`, transferSyntaxes: [explicitLittle] }]

  it('go out as fast as they are read, and stop where the limit is', async () => {
    await fill(2_000)
    const { documents } = node.stage.stores
    expect(await documents.count('dicomStudies')).toBe(2_000)
    const found = await find(node.port, identifier)
    expect(found.matches).toHaveLength(500)
    expect(found.statuses.at(-1)).toBe(0xa700)
  })

  it('end where they are cancelled', async () => {
    await fill(2_000)
    const peer = await peerOf(node.port, { contexts })
    const [context] = peer.contexts
    if (!context) throw new Error('not accepted')
    let seen = 0
    let last = -1
    const request = (id: number) => writeQueryRequest(commandField.find, id, `${studyRoot}1`)
    for await (const { command } of peer.responses(context, request, writeElements(identifier, explicitLittle))) {
      if (++seen === 1) peer.send(context, writeCancel(1))
      last = command.status
    }
    expect(last).toBe(0xfe00)
    expect(seen).toBeLessThan(500)
    await peer.release()
  })

  it('are looked for no faster than they are read', async () => {
    const stores = await openStores()
    let pages = 0
    const documents = new Proxy(stores.documents, {
      get(target, name, receiver) {
        if (name === 'find') pages++
        return Reflect.get(target, name, receiver)
      },
    })
    await fill(10_000, stores)
    const slow = await openNode({ stores, deps: { documents }, settings: { commitment: { retryMs: 3_600_000 } } })
    try {
      await until('it has looked for commitments', () => pages === 1)
      using peer = await associate(slow.port, { contexts: [{ abstract: `${studyRoot}1`, syntaxes: [explicitLittle] }] })
      peer.socket.pause()
      peer.write(dataPdus(1, true, writeQueryRequest(commandField.find, 1, `${studyRoot}1`)))
      peer.write(dataPdus(1, false, writeElements(identifier, explicitLittle)))
      let before = 0
      const still = () => {
        const same = pages > 2 && before === pages
        before = pages
        return same
      }
      await until('it waits for its peer', still, { everyMs: 200 })
      // Of twelve: what the sockets hold, and a page.
      expect(pages - 1).toBeLessThan(9)
      peer.socket.resume()
      let answers = 0
      for (let last = 0xff00; last === 0xff00; answers++) last = (await nextMessage(peer)).command.status
      expect(answers).toBe(10_001)
    } finally {
      await slow[Symbol.asyncDispose]()
      await stores.close()
    }
  })
})

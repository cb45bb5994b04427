import { afterEach, describe, expect, it } from 'vitest'
import { commandField } from '../../../dicom/command.ts'
import { implicitLittle, writeElements } from '../../../dicom/data-set.ts'
import type { DicomAttributes, DicomElement } from '../../../schemas/dicom-json.ts'
import { ids } from '../../../schemas/ids.ts'
import { peerOf } from '../../../tests/harness/dicom-node.ts'
import { type OpenProducer, openProducer } from '../../../tests/harness/producer.ts'
import { procedureStepClass } from '../sop-classes.ts'
import { dimse } from '../stage.ts'

let stage: OpenProducer | undefined
afterEach(async () => {
  await stage?.close()
})

const ui = (value: string): DicomElement => ({ vr: 'UI', Value: [value] })
const cs = (value: string): DicomElement => ({ vr: 'CS', Value: [value] })
const begun = (study: string): DicomAttributes => ({
  '00400252': cs('IN PROGRESS'),
  '00400270': { vr: 'SQ', Value: [{ '0020000D': ui(study), '00400275': { vr: 'SQ' } }] },
})
const made = (state: string, ...images: string[]): DicomAttributes => ({
  '00400252': cs(state),
  '00400340': {
    vr: 'SQ',
    Value: [{ '0020000E': ui('1.2.9'), '00081140': { vr: 'SQ', Value: images.map(uid => ({ '00081155': ui(uid) })) } }],
  },
})

async function open() {
  stage = await openProducer(dimse, { settings: { port: 0 } })
  const contexts = [{ abstractSyntax: procedureStepClass, transferSyntaxes: [implicitLittle] }]
  const peer = await peerOf(Number(stage.endpoints.dicom?.port), { calling: 'CT1', contexts })
  const [context] = peer.contexts
  if (!context) throw new Error('MPPS was not accepted')
  const us = (value: number): DicomElement => ({ vr: 'US', Value: [value] })
  /** Status of the answer. */
  const ask = async (field: number, uid: string, set: DicomAttributes) => {
    const isSet = field === commandField.set
    const command = (id: number) =>
      writeElements(
        {
          ...{ [isSet ? '00000003' : '00000002']: ui(procedureStepClass), [isSet ? '00001001' : '00001000']: ui(uid) },
          ...{ '00000100': us(field), '00000110': us(id), '00000800': us(1) },
        },
        implicitLittle,
      )
    return (await peer.request(context, command, writeElements(set, implicitLittle))).status
  }
  return { ask, told: () => stage?.published ?? [], release: () => peer.release() }
}

describe('a modality that tells of its procedure steps', () => {
  it('says how many images the study is to have, once its last step is at its end', async () => {
    const { ask, told, release } = await open()
    expect(await ask(commandField.create, '1.2.1', begun('1.2.3'))).toBe(0)
    expect(await ask(commandField.create, '1.2.2', begun('1.2.3'))).toBe(0)
    expect(await ask(commandField.set, '1.2.1', made('COMPLETED', '1.1', '1.2', '1.2'))).toBe(0)
    expect(told()).toEqual([])
    expect(await ask(commandField.set, '1.2.2', made('IN PROGRESS', '1.3'))).toBe(0)
    expect(await ask(commandField.set, '1.2.2', made('COMPLETED', '1.3', '1.4', '1.5'))).toBe(0)
    expect(told()).toMatchObject([
      { study: ids.study('main', '1.2.3'), what: 'expect', images: 5, source: 'modality', actor: 'CT1' },
    ])
    await release()
  })

  it('is told what is wrong: twice begun, at its end, unknown, without a study or a status', async () => {
    const { ask, told, release } = await open()
    expect(await ask(commandField.create, '1.2.1', begun('1.2.3'))).toBe(0)
    expect(await ask(commandField.create, '1.2.1', begun('1.2.3'))).toBe(0x0111)
    expect(await ask(commandField.set, '1.2.7', made('COMPLETED', '1.1'))).toBe(0x0112)
    expect(await ask(commandField.set, '1.2.1', made('PERHAPS', '1.1'))).toBe(0x0106)
    expect(await ask(commandField.set, '1.2.1', made('DISCONTINUED'))).toBe(0)
    expect(await ask(commandField.set, '1.2.1', made('COMPLETED', '1.1'))).toBe(0x0110)
    expect(await ask(commandField.create, '1.2.8', { '00400252': cs('IN PROGRESS') })).toBe(0x0106)
    expect(await ask(commandField.create, '1.2.8', { ...begun('1.2.3'), '00400252': cs('COMPLETED') })).toBe(0x0106)
    expect(told()).toEqual([])
    await release()
  })
})

/** A modality that tells of its procedure steps, right or wrong (PS3.4 F.7). */
import { commandField } from '../../dicom/command.ts'
import { implicitLittle, writeElements } from '../../dicom/data-set.ts'
import { procedureStepClass } from '../../producers/dimse/sop-classes.ts'
import type { DicomAttributes, DicomElement } from '../../schemas/dicom-json.ts'
import { peerOf } from './dicom-node.ts'

const ui = (value: string): DicomElement => ({ vr: 'UI', Value: [value] })
const us = (value: number): DicomElement => ({ vr: 'US', Value: [value] })
export const stepStatus = (value: string): DicomElement => ({ vr: 'CS', Value: [value] })

/** Of N-CREATE: the step of a study has begun. */
export const begun = (study: string): DicomAttributes => ({
  '00400252': stepStatus('IN PROGRESS'),
  '00400270': { vr: 'SQ', Value: [{ '0020000D': ui(study), '00400275': { vr: 'SQ' } }] },
})

/** Of N-SET: what the step made so far, in one series. */
export const made = (state: string, ...images: string[]): DicomAttributes => ({
  '00400252': stepStatus(state),
  '00400340': {
    vr: 'SQ',
    Value: [{ '0020000E': ui('1.2.9'), '00081140': { vr: 'SQ', Value: images.map(uid => ({ '00081155': ui(uid) })) } }],
  },
})

export interface Modality {
  /** @returns the status of the answer */
  create(step: string, set: DicomAttributes): Promise<number>
  set(step: string, set: DicomAttributes): Promise<number>
  release(): Promise<void>
}

/** Associated as CT1. */
export async function openModality(port: number): Promise<Modality> {
  const contexts = [{ abstractSyntax: procedureStepClass, transferSyntaxes: [implicitLittle] }]
  const peer = await peerOf(port, { calling: 'CT1', contexts })
  const [context] = peer.contexts
  if (!context) throw new Error('MPPS was not accepted')
  const ask = async (
    field: number,
    tags: { sopClass: string; sopInstance: string },
    uid: string,
    set: DicomAttributes,
  ) => {
    const command = (id: number) =>
      writeElements(
        {
          ...{ [tags.sopClass]: ui(procedureStepClass), [tags.sopInstance]: ui(uid) },
          ...{ '00000100': us(field), '00000110': us(id), '00000800': us(1) },
        },
        implicitLittle,
      )
    return (await peer.request(context, command, writeElements(set, implicitLittle))).status
  }
  return {
    create: (step, set) => ask(commandField.create, { sopClass: '00000002', sopInstance: '00001000' }, step, set),
    set: (step, set) => ask(commandField.set, { sopClass: '00000003', sopInstance: '00001001' }, step, set),
    release: async () => void (await peer.release()),
  }
}

/** How many images an archive has of a study: C-FIND, Study Root (PS3.4 C.6.2). */
import { commandField, status, writeQueryRequest } from '../../dicom/command.ts'
import { type Elements, implicitLittle, readElements, writeElements } from '../../dicom/data-set.ts'
import type { Requestor } from '../../dicom/requestor.ts'
import { talk } from '../../dicom/talk.ts'
import { dicomPort } from '../../dicom/tls.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { DicomTls, Peer } from '../../schemas/peers.ts'

export interface CountOptions {
  /** Our AE title. */
  calling: string
  dicomTls: DicomTls | null
  associateMs: number
  answerMs: number
  signal: AbortSignal
}

const findClass = '1.2.840.10008.5.1.4.1.2.2.1'
const tags = { level: '00080052', sopInstance: '00080018', study: '0020000D', series: '0020000E', count: '00201208' }
/** Answers to one query, beyond which it was understood otherwise than it was meant. */
const mostAnswers = 100_000

/**
 * By Number of Study Related Instances, which is optional: an archive that does not say is asked for the images themselves.
 * @returns undefined where it has no such study
 * @throws RaylogError config-invalid, peer-unavailable, delivery-failed, peer-refused
 */
export async function countImages(archive: Peer, study: string, options: CountOptions): Promise<number | undefined> {
  const { aeTitle: called, host, port } = archive
  if (called === null || host === null)
    throw new RaylogError('config-invalid', `peer ${archive.name} has no aeTitle and host to be asked at`)
  const { dicomTls, ...more } = options
  const contexts = [{ abstractSyntax: findClass, transferSyntaxes: [implicitLittle] }]
  const at = { ...archive, host, port: port ?? dicomPort }
  return talk(at, dicomTls, { called, contexts, ...more }, peer => countOver(peer, study))
}

async function countOver(peer: Requestor, study: string): Promise<number | undefined> {
  const found = await find(peer, { level: 'STUDY', study, count: '' })
  // Some archives take a key that they do not know for a wild card.
  const one = found.find(answer => answer.text(tags.study, 'UI')?.trim() === study)
  if (!one) return undefined
  const said = Number(one.text(tags.count, 'IS')?.trim() ?? '')
  if (Number.isInteger(said) && said > 0) return said
  const images = new Set<string>()
  const series = await find(peer, { level: 'SERIES', study, series: '' })
  for (const uid of new Set(series.map(answer => answer.text(tags.series, 'UI')?.trim() ?? ''))) {
    if (uid === '') continue
    for (const answer of await find(peer, { level: 'IMAGE', study, series: uid, sopInstance: '' }))
      images.add(answer.text(tags.sopInstance, 'UI')?.trim() ?? '')
  }
  images.delete('')
  return images.size
}

async function find(peer: Requestor, keys: Partial<Record<keyof typeof tags, string>>): Promise<Elements[]> {
  const [context] = peer.contexts
  if (!context) throw new RaylogError('peer-refused', 'the peer takes no C-FIND')
  const attributes = Object.entries(keys).map(([name, value]) => {
    const vr = name === 'level' ? 'CS' : name === 'count' ? 'IS' : 'UI'
    return [tags[name as keyof typeof tags], { vr, Value: value === '' ? [] : [value] }] as const
  })
  const identifier = writeElements(Object.fromEntries(attributes), implicitLittle)
  const found: Elements[] = []
  const command = (id: number) => writeQueryRequest(commandField.find, id, findClass)
  for await (const { command: answer, data } of peer.responses(context, command, identifier)) {
    if (data) found.push(readElements(data, implicitLittle))
    else if (answer.status !== status.success)
      throw new RaylogError('peer-refused', `C-FIND ended with 0x${answer.status.toString(16).padStart(4, '0')}`)
    if (found.length > mostAnswers) throw new RaylogError('peer-refused', `more than ${mostAnswers} answers`)
  }
  return found
}

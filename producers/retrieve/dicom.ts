/** A peer over DIMSE: C-FIND, then C-GET, or C-MOVE to ourselves where it has no C-GET (PS3.4 C.4). */

import { commandField, status, writeQueryRequest } from '../../dicom/command.ts'
import { explicitLittle, implicitLittle } from '../../dicom/data-set.ts'
import { outcomeOf } from '../../dicom/outcome.ts'
import { filePrefix } from '../../dicom/part10.ts'
import type { ProposedSyntaxes, Requestor, StoreSubOperation, UsableContext } from '../../dicom/requestor.ts'
import { type TalkOptions, talk } from '../../dicom/talk.ts'
import { compressedTypes } from '../../schemas/dicomweb.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import type { DicomTls, Peer } from '../../schemas/peers.ts'
import { type Identifier, readIdentifier, writeIdentifier } from './identifier.ts'
import { type FoundInstance, newestBefore, type Receive, type Source } from './source.ts'

export interface DicomSourceOptions {
  peer: Peer
  dicomTls: DicomTls | null
  /** AE title of ours. */
  calling: string
  how: 'auto' | 'get' | 'move'
  /** For a connection and an association, and for an answer, ms. */
  associateMs: number
  answerMs: number
}

/** Study Root Query/Retrieve (PS3.4 C.6.2). */
export const model = {
  find: '1.2.840.10008.5.1.4.1.2.2.1',
  move: '1.2.840.10008.5.1.4.1.2.2.2',
  get: '1.2.840.10008.5.1.4.1.2.2.3',
} as const

const isVideo = (syntax: string) => compressedTypes[syntax]?.startsWith('video/') ?? false
/** Endoscopic, microscopic and photographic video, multi-frame ultrasound, and secondary capture in true colour. */
export const videoClasses = new Set(
  ['77.1.1.1', '77.1.2.1', '77.1.4.1', '3.1', '7.4'].map(tail => `1.2.840.10008.5.1.4.1.1.${tail}`),
)

/**
 * Contexts in which images of the class may come back: each compressed syntax in one of its own, so that what is stored
 * compressed comes as it is, and is not made plain first.
 */
export function contextsFor(abstractSyntax: string): ProposedSyntaxes[] {
  const alone = Object.keys(compressedTypes).filter(syntax => !isVideo(syntax) || videoClasses.has(abstractSyntax))
  const each = [[explicitLittle, implicitLittle], ...alone.map(syntax => [syntax])]
  return each.map(transferSyntaxes => ({ abstractSyntax, transferSyntaxes }))
}

/** Contexts of one association (PS3.8 9.3.2.2: odd numbers up to 255), but one for the C-GET itself. */
const contextsAtOnce = 127
/** Answers to one query, beyond which the question was too wide. */
const mostAnswers = 100_000

export function dicomSource(options: DicomSourceOptions): Source {
  const { peer, dicomTls, calling, associateMs, answerMs } = options
  const { aeTitle: called, host, port } = peer
  if (called === null || host === null || port === null)
    throw new RaylogError('config-invalid', `peer ${peer.name} has no aeTitle, host and port to be called at`)
  const at = { ...peer, host, port }
  /** Whether it takes C-GET, once it has said so. */
  let gets: boolean | undefined = options.how === 'auto' ? undefined : options.how === 'get'

  const ask = <T>(
    contexts: readonly ProposedSyntaxes[],
    signal: AbortSignal,
    work: (peer: Requestor) => Promise<T>,
    more: Pick<TalkOptions, 'roles' | 'store'> = {},
  ) => talk(at, dicomTls, { called, calling, contexts, associateMs, answerMs, signal, ...more }, work)

  function contextOf(requestor: Requestor, abstractSyntax: string): UsableContext {
    const found = requestor.contexts.find(context => context.abstractSyntax === abstractSyntax)
    if (found) return found
    throw new RaylogError('peer-refused', `${peer.name} does not take ${abstractSyntax}`)
  }

  async function find(requestor: Requestor, identifier: Identifier): Promise<Identifier[]> {
    const context = contextOf(requestor, model.find)
    const command = (id: number) => writeQueryRequest(commandField.find, id, model.find)
    const found: Identifier[] = []
    for await (const { command: answer, data } of requestor.responses(context, command, writeIdentifier(identifier))) {
      if (data) found.push(readIdentifier(data))
      else if (answer.status !== status.success) throw refusal('C-FIND', answer.status)
      if (found.length > mostAnswers) throw new RaylogError('peer-refused', `more than ${mostAnswers} answers`)
    }
    return found
  }

  const plain = (abstractSyntax: string) => ({ abstractSyntax, transferSyntaxes: [implicitLittle] })
  const query = (identifier: Identifier, signal: AbortSignal) =>
    ask([plain(model.find)], signal, requestor => find(requestor, identifier))

  function refusal(operation: string, code: number): RaylogError {
    const text = `${peer.name}: ${operation} ended with 0x${code.toString(16).toUpperCase().padStart(4, '0')}`
    return new RaylogError(outcomeOf(code) === 'later' ? 'delivery-failed' : 'peer-refused', text)
  }

  /** @returns false where the peer takes no C-GET */
  async function get(study: string, wanted: readonly FoundInstance[], receive: Receive, signal: AbortSignal) {
    const classes = [...new Set(wanted.map(({ sopClass }) => sopClass))]
    let failed: unknown
    const store: StoreSubOperation = async ({ sopClass, sopInstance, transferSyntax, dataSet }) => {
      try {
        await receive(asFile(sopClass, sopInstance, transferSyntax, dataSet), { sopClass, sopInstance })
        return { code: status.success }
      } catch (thrown) {
        failed ??= thrown
        const { entry, code } = toRaylogError(thrown)
        return { code: entry.dimse, comment: code }
      }
    }
    const storage = classes.flatMap(contextsFor)
    const roles = new Map(classes.map(uid => [uid, { scu: false, scp: true }]))
    const taken = await ask(
      [plain(model.get), ...storage],
      signal,
      async requestor => {
        if (!requestor.contexts.some(({ abstractSyntax }) => abstractSyntax === model.get)) return false
        const command = (id: number) => writeQueryRequest(commandField.get, id, model.get)
        await final('C-GET', requestor.responses(contextOf(requestor, model.get), command, imagesOf(study, wanted)))
        return true
      },
      { roles, store },
    )
    if (failed) throw failed
    return taken
  }

  async function final(operation: string, responses: ReturnType<Requestor['responses']>): Promise<void> {
    let last: number | undefined
    for await (const { command } of responses) last = command.status
    // Warning: some sub-operations failed. What is missing is asked for again.
    const outcome = outcomeOf(last ?? 0xc000)
    if (outcome !== 'done' && outcome !== 'warning') throw refusal(operation, last ?? 0xc000)
  }

  return {
    async byAccession(accessionNumber, signal) {
      const asked = { QueryRetrieveLevel: 'STUDY', AccessionNumber: accessionNumber, StudyInstanceUID: '' }
      const found = await query({ SpecificCharacterSet: 'ISO_IR 192', ...asked }, signal)
      // Some peers take a key that they do not know for a wildcard.
      return uids(found.filter(one => (one.AccessionNumber ?? '') === accessionNumber))
    },
    async priors(of, signal) {
      const found = await query(
        {
          ...{ SpecificCharacterSet: 'ISO_IR 192', QueryRetrieveLevel: 'STUDY', PatientID: of.patientId },
          ...(of.issuer === null ? {} : { IssuerOfPatientID: of.issuer }),
          ...{ StudyInstanceUID: '', StudyDate: '', ModalitiesInStudy: '' },
        },
        signal,
      )
      const theirs = found.filter(({ PatientID, IssuerOfPatientID: issuer = '' }) => {
        const sameIssuer = of.issuer === null || issuer === '' || issuer === of.issuer
        return PatientID === of.patientId && sameIssuer
      })
      const studies = theirs.map(
        ({ StudyInstanceUID: uid = '', StudyDate: date = '', ModalitiesInStudy: modalities = '' }) => ({
          ...{ uid, date, modalities },
        }),
      )
      return newestBefore(studies, of)
    },
    instances: (study, signal) =>
      ask([plain(model.find)], signal, async requestor => {
        const series = await find(requestor, {
          ...{ QueryRetrieveLevel: 'SERIES', StudyInstanceUID: study, SeriesInstanceUID: '' },
        })
        const found: FoundInstance[] = []
        for (const one of new Set(series.map(({ SeriesInstanceUID: uid }) => uid))) {
          if (!one) continue
          const keys = { StudyInstanceUID: study, SeriesInstanceUID: one, SOPInstanceUID: '', SOPClassUID: '' }
          for (const image of await find(requestor, { QueryRetrieveLevel: 'IMAGE', ...keys }))
            if (image.SOPInstanceUID)
              found.push({ series: one, sopInstance: image.SOPInstanceUID, sopClass: image.SOPClassUID ?? '' })
        }
        return found
      }),
    async fetch(study, wanted, receive, signal) {
      for (const some of bySeries(wanted)) {
        const known = some.every(({ sopClass }) => sopClass !== '')
        if (gets !== false && known) {
          const taken = await get(study, some, receive, signal)
          if (taken) {
            gets = true
            continue
          }
          if (options.how === 'get') throw new RaylogError('peer-refused', `${peer.name} takes no C-GET`)
          gets = false
        }
        await ask([plain(model.move)], signal, requestor => {
          const command = (id: number) => writeQueryRequest(commandField.move, id, model.move, calling)
          const context = contextOf(requestor, model.move)
          return final('C-MOVE', requestor.responses(context, command, imagesOf(study, some)))
        })
      }
    },
  }
}

const uids = (found: readonly Identifier[]) => [...new Set(found.flatMap(one => one.StudyInstanceUID || []))]

/** A list of UIDs is within one series (PS3.4 C.4.2.2.1), and as many SOP classes as have room in an association. */
function* bySeries(wanted: readonly FoundInstance[]): Generator<FoundInstance[]> {
  for (const ofSeries of Map.groupBy(wanted, ({ series }) => series).values()) {
    let [some, contexts]: [FoundInstance[], number] = [[], 0]
    for (const [sopClass, ofClass] of Map.groupBy(ofSeries, one => one.sopClass)) {
      const needed = contextsFor(sopClass).length
      if (contexts + needed > contextsAtOnce) {
        yield some
        ;[some, contexts] = [[], 0]
      }
      some.push(...ofClass)
      contexts += needed
    }
    yield some
  }
}

function imagesOf(study: string, wanted: readonly FoundInstance[]): Buffer {
  return writeIdentifier({
    QueryRetrieveLevel: 'IMAGE',
    StudyInstanceUID: study,
    SeriesInstanceUID: wanted[0]?.series ?? '',
    SOPInstanceUID: wanted.map(({ sopInstance }) => sopInstance).join('\\'),
  })
}

async function* asFile(sopClass: string, sopInstance: string, syntax: string, dataSet: AsyncIterable<Buffer>) {
  yield filePrefix(sopClass, sopInstance, syntax)
  yield* dataSet
}

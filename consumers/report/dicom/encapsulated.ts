/** The report for people as an Encapsulated PDF (PS3.3 A.45.1), so that it stands beside the images in the PACS. */
import type { StudyContent } from '../study/format.ts'
import { firstText } from '../study/header.ts'
import { codeItem } from './codes.ts'
import { commonModules, contentTimes, copiedOf, predecessorOf, reference, referencedOf } from './common.ts'
import { created } from './created.ts'
import { line } from './text.ts'
import { toFile } from './write.ts'

/** Images that it names as its source, at most. */
const mostSources = 100

export interface Encapsulated {
  content: StudyContent
  pdf: Uint8Array
  version: string
}

export function encapsulatedPdf({ content, pdf, version }: Encapsulated): Buffer {
  const { assessed, header, identity, showNames } = content
  const images = referencedOf(content.images)
  const { dateTime } = contentTimes(content)
  const named = (showNames && identity !== null) || (header !== null && firstText(header, '00280301') === 'YES')
  return toFile(
    {
      ...commonModules(content, {
        as: created.pdf,
        instanceNumber: assessed.revision,
        version,
      }),
      ConversionType: 'WSD',
      AcquisitionDateTime: dateTime,
      BurnedInAnnotation: named ? 'YES' : 'NO',
      SourceInstanceSequence: images.slice(0, mostSources).map(reference),
      DocumentTitle: line(`Imaging AI results, revision ${assessed.revision}`),
      ConceptNameCodeSequence: codeItem({ scheme: 'LN', value: '18748-4', meaning: 'Diagnostic imaging study' }),
      VerificationFlag: 'UNVERIFIED',
      ...predecessorOf(content, created.pdf),
      MIMETypeOfEncapsulatedDocument: 'application/pdf',
      EncapsulatedDocumentLength: pdf.length,
      EncapsulatedDocument: even(pdf),
    },
    copiedOf(content),
  )
}

/** Values have an even length; the element before says how much of it is the document. */
const even = (bytes: Uint8Array): Uint8Array =>
  bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)])

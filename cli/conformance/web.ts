/** Section 5 of the conformance statement: DICOMweb (PS3.2 annex for web services, PS3.18 10). */
import { transcodedTo } from '../../models/imaging/dicom/syntaxes.ts'
import { dicomweb } from '../../producers/dicomweb/stage.ts'
import { transferSyntaxNames } from '../../producers/dimse/syntaxes.ts'
import { indexedAttributes, queryLevels } from '../../schemas/dicom-index.ts'
import { compressedTypes, dicomwebServices, lossySyntaxes, windowFunctions } from '../../schemas/dicomweb.ts'
import { intakeFailures } from './statuses.ts'
import { table } from './table.ts'

const code = (text: string) => `\`${text}\``
const named = (uids: Iterable<string>) => [...uids].map(uid => transferSyntaxNames.get(uid) ?? uid).join(', ')
/** An encapsulated syntax, for what an object of it can be given in. */
const rle = '1.2.840.10008.1.2.5'

const services = () =>
  table(
    ['service', 'method', 'resources under /dicomweb', 'media types', 'what'],
    dicomwebServices.map(({ service, method, paths, mediaTypes, summary }) => [
      service,
      method,
      paths.map(code).join(' '),
      mediaTypes.map(code).join(' '),
      summary,
    ]),
  )

const frames = () =>
  table(
    ['media type of compressed frames', 'transfer syntaxes'],
    [...Map.groupBy(Object.entries(compressedTypes), ([, type]) => type)].map(([type, entries]) => [
      code(type),
      named(entries.map(([uid]) => uid)),
    ]),
  )

/** Of an object that STOW-RS refuses. */
const failures = () => table(['FailureReason (0008,1197)', 'codes of docs/errors.md'], intakeFailures())

const limits = () => {
  const { maxBytes, maxInstances, maxJsonBytes }: Record<string, unknown> = Object(dicomweb.config.parse({}))
  return `one object ${String(maxBytes)} bytes, one request ${String(maxInstances)} objects, metadata and bulk data (application/dicom+json) ${String(maxJsonBytes)} bytes`
}

export const webSection = (): string => `## 5. DICOMweb

Origin server of the Studies Service of PS3.18, over HTTP/1.1 (TLS by a proxy in front). Every request shows a bearer token; one without it is answered 401 and audited. Raylog is a user agent of
QIDO-RS and WADO-RS where a retrieval is asked for (\`retrieve\`, docs/peers.md), and of STOW-RS where reports go to such a destination (\`deliver\`, docs/delivery.md).

${services()}

### 5.1 Search

Keys are tags or keywords, matched as C-FIND matches them (4.3); ${queryLevels
  .map(level => `${indexedAttributes.filter(each => each.level === level).length} attributes of the level ${level}`)
  .join(
    ', ',
  )}. Parameters: \`includefield\` (tags, keywords, \`all\`), \`limit\`, \`offset\`; \`fuzzymatching\` is answered literally, with a Warning. A key that is not
supported narrows nothing and is named in a Warning; so is that there are more results.

### 5.2 Retrieve

Objects are given in the transfer syntax that \`transfer-syntax\` names, \`*\` being as stored: each as it is stored, and those that Raylog decodes in ${named(transcodedTo(rle))} too.
Where none is named it is Explicit VR Little Endian; as stored for ${named(lossySyntaxes)}, and for what is not decoded. Nothing is compressed. 406 where nothing fits, 206 with a Warning where some
of a study does.

Frames are uncompressed (\`application/octet-stream\`), or compressed as they are stored:

${frames()}

Pictures: \`window\` (${windowFunctions.join(', ')}), \`viewport\` (width and height), \`quality\`. Bulk data: one range of bytes. Of a study or series
\`rendered\` is multipart/related with a picture of each image, of its first frame, as the instance's own; what has no pixels is left out (206 and a Warning), and what cannot be decoded too, which no status tells: the pictures are drawn as they are taken. Where there is
one image it may be asked for as \`image/jpeg\` or \`image/png\` alone. Not offered: rendered frames several at a time, parts of an image (\`viewport\` with a region), presentation states, and annotations.

### 5.3 Store

${limits()} at most. Each object is answered for itself in the Store Instances Response Module: 200 all, 202 some, 409 none; 503 where a store is away.

${failures()}`

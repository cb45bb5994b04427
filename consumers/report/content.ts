/** Gathers what a report says of a prediction. What is lost for good is said in it; what may come back is waited for. */
import { createHash } from 'node:crypto'
import type { Ports } from '../../kafka/ports.ts'
import { frameLookedAt } from '../../schemas/prediction.ts'
import type { Prediction, StoredObject } from '../../schemas/topics.ts'
import type { ImageContext, ReportContent } from './format.ts'
import { sealedIdentity } from './identity.ts'
import { inWords, settled } from './settled.ts'
import type { Language } from './texts/texts.ts'

type ContentPorts = Pick<Ports, 'documents' | 'objects' | 'images' | 'secrets'>

export interface ContentOptions {
  previewPixels: number
  showNames: boolean
  researchUseOnly: boolean
  language: Language
}

/** A header that is longer is not read for a report, bytes. */
const mostHeadBytes = 16 * 1024 * 1024

type Source = Pick<StoredObject, 'key' | 'sha256' | 'contentType'>

/** @throws RaylogError of a store or worker that may answer later; none for an image that is missing or cannot be shown */
export async function gatherContent(
  ports: ContentPorts,
  options: ContentOptions,
  prediction: Prediction,
): Promise<ReportContent> {
  const [shown, patient] = await Promise.all([
    gatherImage(ports, options, prediction),
    options.showNames && prediction.patient !== null ? sealedIdentity(ports, prediction.patient) : null,
  ])
  const { researchUseOnly, language } = options
  return { prediction, ...shown, patient, researchUseOnly, language }
}

async function gatherImage(ports: ContentPorts, options: ContentOptions, prediction: Prediction) {
  const found = await settled(findImage(ports, prediction))
  if ('lost' in found) return { image: null, preview: { missing: inWords(found.lost) } }
  const { image, source } = found.value
  const preview = await settled(
    ports.images.preview(source, { size: options.previewPixels, frame: frameLookedAt(image.frames) }),
  )
  return { image, preview: 'lost' in preview ? { missing: inWords(preview.lost) } : { png: preview.value } }
}

/**
 * The instance as persist knows it. It may be behind, or run elsewhere and be away, and no report should wait for it: then
 * the object itself is asked, which says the same, since an instance's facts are read from there.
 */
async function findImage(
  { documents, objects, images }: ContentPorts,
  { instance, object }: Prediction,
): Promise<{ image: ImageContext; source: Source }> {
  const known = await documents.get('instances', instance)
  if (known) return { image: known, source: known.object }
  const size = (await objects.stat(object))?.bytes ?? 0
  const head = await objects.range(object, { start: 0, end: mostHeadBytes - 1 })
  const { facts } = await images.describe(head, head.length === size)
  const hash = createHash('sha256')
  for await (const chunk of await objects.stream(object)) hash.update(chunk)
  const source = { key: object, sha256: hash.digest('hex'), contentType: facts.contentType }
  return { image: facts, source }
}

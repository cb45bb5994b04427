/** Pictures for the PACS: of the images that speak most for each finding, and of those on which a model marked something. */
import type { DicomAttributes } from '../../../schemas/dicom-json.ts'
import { ownVersion } from '../../../schemas/version.ts'
import type { FormatContext, StudyContent, StudyFormat, StudyImage } from '../study/format.ts'

export function dicomSc({ threads, previewPixels, captures }: FormatContext): StudyFormat {
  const version = ownVersion()
  return {
    name: 'dicom-sc',
    contentType: 'application/dicom',
    render(content, tools) {
      const chosen = chosenImages(content).slice(0, captures)
      return Promise.all(
        chosen.map(async (image, i) => {
          const [preview, header] = await Promise.all([
            tools.preview(image, { size: previewPixels }),
            tools.header(image),
          ])
          const source = 'attributes' in header ? header.attributes : null
          const few = { ...content, images: [image], earlier: [] }
          const capture = { content: few, image, preview, source: flagsOf(source), ordinal: i + 1, version }
          return { part: image.id, instance: image.id, bytes: await threads.draw('dicomSc', capture, tools.signal) }
        }),
      )
    },
  }
}

/** What is found stands before what is not. */
function chosenImages({ assessed, images }: StudyContent): StudyImage[] {
  const findings = assessed.findings.toSorted((a, b) => Number(b.present) - Number(a.present))
  const byFinding = findings.flatMap(({ instances }) => instances)
  const marked = images.filter(({ said }) => said.some(({ prediction }) => prediction.regions.length > 0))
  const known = new Map(images.filter(({ instance }) => instance?.dicom).map(image => [image.id, image]))
  const ids = new Set([...byFinding, ...marked.map(({ id }) => id)])
  return [...ids].flatMap(id => known.get(id) ?? [])
}

/** Of the header what a picture repeats: the rest need not be copied to a thread. */
const flagsOf = (source: DicomAttributes | null): DicomAttributes | null =>
  source && Object.fromEntries(Object.entries(source).filter(([tag]) => tag === '00280301' || tag === '00282110'))

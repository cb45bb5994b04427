/** Pictures for the PACS: of the images that speak most for each finding, and of those that a model marked or explained. */
import type { DicomAttributes } from '../../../schemas/dicom-json.ts'
import { frameLookedAt, scoredLabel } from '../../../schemas/prediction.ts'
import type { Prediction } from '../../../schemas/topics.ts'
import { ownVersion } from '../../../schemas/version.ts'
import type { Capture } from '../dicom/capture/capture.ts'
import type { FormatContext, StudyContent, StudyFormat, StudyImage, StudyTools } from '../study/format.ts'

export function dicomSc({ threads, previewPixels, captures }: FormatContext): StudyFormat {
  const version = ownVersion()
  return {
    name: 'dicom-sc',
    contentType: 'application/dicom',
    render(content, tools) {
      const chosen = chosenImages(content).slice(0, captures)
      return Promise.all(
        chosen.map(async (image, i) => {
          const [preview, header, explained] = await Promise.all([
            tools.preview(image, { size: previewPixels, frame: frameLookedAt(image.instance?.frames ?? 1) }),
            tools.header(image),
            explainedOf(image, tools),
          ])
          const source = 'attributes' in header ? header.attributes : null
          // Only what was said of this image: the findings name models that did not see it.
          const few = { ...content, assessed: { ...content.assessed, findings: [] }, images: [image], earlier: [] }
          const shown = { content: few, image, preview, explained }
          const capture = { ...shown, source: flagsOf(source), ordinal: i + 1, version }
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
  const saying = (what: (prediction: Prediction) => boolean) =>
    images.filter(({ said }) => said.some(({ prediction }) => what(prediction)))
  const marked = [...saying(one => one.regions.length > 0), ...saying(one => one.explanation !== null)]
  const known = new Map(images.filter(({ instance }) => instance?.dicom).map(image => [image.id, image]))
  const ids = new Set([...byFinding, ...marked.map(({ id }) => id)])
  return [...ids].flatMap(id => known.get(id) ?? [])
}

/** Of several answers the surest; null where none is explained, or its picture is gone. */
async function explainedOf({ said }: StudyImage, tools: StudyTools): Promise<Capture['explained']> {
  const [first] = said
    .map(({ prediction }) => prediction)
    .filter(({ explanation }) => explanation !== null)
    .sort((a, b) => b.confidence - a.confidence)
  const drawn = first && (await tools.explanation(first))
  return drawn && 'png' in drawn ? { png: drawn.png, model: first.model, label: scoredLabel(first) } : null
}

/** Of the header what a picture repeats: the rest need not be copied to a thread. */
const flagsOf = (source: DicomAttributes | null): DicomAttributes | null =>
  source && Object.fromEntries(Object.entries(source).filter(([tag]) => tag === '00280301' || tag === '00282110'))

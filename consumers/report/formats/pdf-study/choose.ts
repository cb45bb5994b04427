/** Which images are pictured with a finding. */
import { scoredLabel } from '../../../../schemas/prediction.ts'
import type { Prediction, StudyFinding } from '../../../../schemas/topics.ts'
import { modelOf } from '../../study/facts.ts'
import type { SaidOfImage, StudyContent, StudyImage } from '../../study/format.ts'

export interface Pictured {
  image: StudyImage
  /** From 1, in the order of the report. */
  number: number
  said: SaidOfImage | null
  /** What the model gave this finding here; null where it did not tell. */
  score: number | null
  /** 1-based: the one that the model outlined first, else the first. */
  frame: number
  /** Outlined for this finding, in that frame. */
  regions: Prediction['regions']
}

export interface PicturedFinding {
  finding: StudyFinding
  pictures: Pictured[]
  /** Images that say so and are not pictured. */
  more: number
}

const mostOfFinding = 4
/** Of all: a report is read, not kept as an archive. */
const mostOfAll = 24

/** What was found comes first, the surest images of each; of what was not found the one that came nearest. */
export function picturedFindings(content: StudyContent): PicturedFinding[] {
  let left = mostOfAll
  const ordered = content.assessed.findings.toSorted((a, b) => Number(b.present) - Number(a.present))
  return ordered.map(finding => {
    const all = imagesOf(content, finding)
    const pictures = all.slice(0, Math.min(left, finding.present ? mostOfFinding : 1))
    left -= pictures.length
    return { finding, pictures, more: finding.present ? all.length - pictures.length : 0 }
  })
}

export const pictureKey = ({ image, frame }: Pick<Pictured, 'image' | 'frame'>): string => `${image.id} ${frame}`

/** Of all findings, each picture once. */
export const picturesOf = (content: StudyContent): Pictured[] => [
  ...new Map(
    picturedFindings(content).flatMap(one => one.pictures.map(picture => [pictureKey(picture), picture])),
  ).values(),
]

function imagesOf({ images }: StudyContent, finding: StudyFinding): Pictured[] {
  const { name } = modelOf(finding.model)
  const all = images.map((image, i): Pictured => {
    const said = image.said.find(({ prediction }) => prediction.model.name === name) ?? null
    const outlined = said ? regionsOf(finding, said.prediction) : []
    const frame = outlined[0]?.frame ?? 1
    const regions = outlined.filter(region => region.frame === frame)
    return { image, number: i + 1, said, score: said ? scoreOf(finding, said.prediction) : null, frame, regions }
  })
  if (finding.present) {
    const known = new Map(all.map(one => [one.image.id, one]))
    return finding.instances.flatMap(id => known.get(id) ?? [])
  }
  const inGroup = ({ image: { instance } }: Pictured) =>
    finding.group === null || finding.group === instance?.laterality || finding.group === instance?.dicom?.series
  const score = (one: Pictured) => one.score ?? -1
  return all
    .filter(one => one.said !== null && inGroup(one))
    .toSorted((a, b) => score(b) - score(a) || a.number - b.number)
}

const scoreOf = ({ label }: StudyFinding, prediction: Prediction): number | null =>
  scoredLabel(prediction) === label ? prediction.score : (prediction.probabilities[label] ?? null)

/** A model whose regions have names of their own outlines what it found. */
function regionsOf({ label, present }: StudyFinding, { regions }: Prediction): Prediction['regions'] {
  const own = regions.filter(region => region.label === label)
  return own.length === 0 && present ? regions : own
}

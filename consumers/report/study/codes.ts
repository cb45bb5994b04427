/** Codes for what models say, so that other systems understand it. */
import type { StudyAssessed } from '../../../schemas/topics.ts'
import type { Code, StudyImage } from './format.ts'

const sct = (value: string, meaning: string): Code => ({ scheme: 'SCT', value, meaning })

/** By label: lower case, words between single spaces. But for pneumonia each is in a context group of PS3.16. */
const known: Readonly<Record<string, Code>> = {
  benign: sct('30807003', 'Benign'),
  'intracranial hemorrhage': sct('1386000', 'Intracranial hemorrhage'),
  'invasive ductal carcinoma': sct('408643008', 'Infiltrating ductal carcinoma of breast'),
  malignant: sct('21594007', 'Malignant'),
  mass: sct('4147007', 'Mass'),
  nodule: sct('27925004', 'Nodule'),
  normal: sct('17621005', 'Normal'),
  'pleural effusion': sct('60046008', 'Pleural effusion'),
  pneumonia: sct('233604007', 'Pneumonia'),
  pneumothorax: sct('36118008', 'Pneumothorax'),
  'pulmonary edema': sct('19242006', 'Pulmonary edema'),
  'pulmonary embolism': sct('59282003', 'Pulmonary embolism'),
}

const keyOf = (label: string) =>
  label
    .toLowerCase()
    .replace(/[\s_-]+/g, ' ')
    .trim()

/** @param own of the settings, by label; they stand above ours */
export function codesOf(
  { findings }: Pick<StudyAssessed, 'findings'>,
  images: readonly StudyImage[],
  own: Readonly<Record<string, Code>>,
): Record<string, Code> {
  const labels = new Set(findings.map(({ label }) => label))
  for (const { said } of images) {
    for (const { prediction, verdict } of said) {
      labels.add(prediction.label)
      for (const { label } of prediction.regions) labels.add(label)
      if (verdict?.label) labels.add(verdict.label)
    }
  }
  const chosen = new Map(Object.entries(own).map(([label, code]) => [keyOf(label), code]))
  return Object.fromEntries(
    [...labels].sort().flatMap(label => {
      const code = chosen.get(keyOf(label)) ?? (Object.hasOwn(known, keyOf(label)) ? known[keyOf(label)] : undefined)
      return code ? [[label, code]] : []
    }),
  )
}

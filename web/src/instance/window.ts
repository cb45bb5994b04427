/** Windows in modality units (after rescale; Hounsfield units in CT). */
import type { Instance } from '../api/types.ts'

export interface Window {
  center: number
  width: number
}

type Facts = Pick<Instance, 'modality' | 'dicom'>

/**
 * Where the sliders stand before they are moved. The image's own window is used until then; the event does not carry it,
 * so this is a start that suits the modality, not a claim about the image.
 */
export function guessWindow({ modality, dicom }: Facts): Window {
  if (!dicom) return { center: 128, width: 256 }
  if (modality === 'CT') return { center: 40, width: 400 }
  if (modality === 'MR' || modality === 'PT' || modality === 'NM') return { center: 500, width: 1_000 }
  if (modality === 'CR' || modality === 'DX' || modality === 'MG' || modality === 'RF')
    return { center: 2_048, width: 4_096 }
  return { center: 128, width: 256 }
}

/** Windows that are customary for CT. */
const ct = [
  { name: 'Soft tissue', window: { center: 40, width: 400 } },
  { name: 'Lung', window: { center: -600, width: 1_500 } },
  { name: 'Bone', window: { center: 400, width: 1_800 } },
  { name: 'Brain', window: { center: 40, width: 80 } },
]

export function presetsFor({ modality }: Pick<Instance, 'modality'>): { name: string; window: Window }[] {
  return modality === 'CT' ? ct : []
}

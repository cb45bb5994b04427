/** Whether an image is what its request said that it is. */
import type { ImageFacts } from '../models/imaging/port.ts'
import { RaylogError } from '../schemas/errors.ts'

/** What the request said; what it did not say may be anything. */
export interface Expected {
  sopClass?: string
  sopInstance?: string
  study?: string
}

type Dicom = NonNullable<ImageFacts['dicom']>

/** @throws RaylogError not-an-image, identity-mismatch */
export function checkIdentity(
  dicom: Pick<Dicom, 'sopClass' | 'sopInstance' | 'study'> | null,
  expect: Expected | undefined,
): void {
  if (!expect) return
  const same = (said: string | undefined, is: string | undefined) => said === undefined || said === is
  const { sopClass, sopInstance, study } = expect
  if (dicom === null) throw new RaylogError('not-an-image', 'only DICOM is taken here')
  if (!same(sopClass, dicom.sopClass) || !same(sopInstance, dicom.sopInstance))
    throw new RaylogError('identity-mismatch', 'SOP class or instance differ between request and data set')
  if (!same(study, dicom.study)) throw new RaylogError('identity-mismatch', 'it belongs to another study')
}

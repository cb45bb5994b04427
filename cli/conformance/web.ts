/** Section 5 of the conformance statement: DICOMweb. */
import { indexedAttributes } from '../../schemas/dicom-index.ts'

export const webSection = (): string => `## 5. DICOMweb

QIDO-RS matches and returns the same attributes as C-FIND (4.3): ${indexedAttributes.length} of them. The routes are at \`/docs\` of a running Raylog.`

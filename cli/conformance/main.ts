/** npm run conformance: writes the conformance statement. */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { conformanceStatement } from './statement.ts'

writeFileSync(resolve(import.meta.dirname, '../../docs/dicom-conformance.md'), conformanceStatement())

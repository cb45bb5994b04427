import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { conformanceStatement } from './statement.ts'

it('is what the tables of the code say', () => {
  const committed = readFileSync(resolve(import.meta.dirname, '../../docs/dicom-conformance.md'), 'utf8')
  expect(committed, 'run "npm run conformance"').toBe(conformanceStatement())
})

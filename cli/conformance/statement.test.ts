import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { isStorageClass } from '../../producers/dimse/syntaxes.ts'
import { conformanceStatement } from './statement.ts'
import { intakeFailures } from './statuses.ts'
import storageClasses from './storage-classes.json' with { type: 'json' }

it('is what the tables of the code say', () => {
  const committed = readFileSync(resolve(import.meta.dirname, '../../docs/dicom-conformance.md'), 'utf8')
  expect(committed, 'run "npm run conformance"').toBe(conformanceStatement())
})

it('tells senders of images of the errors that concern them, and of no others', () => {
  const codes = intakeFailures().flatMap(([, named]) => [...named.matchAll(/`([a-z-]+)`/g)].map(([, code]) => code))
  expect(codes).toEqual(expect.arrayContaining(['truncated', 'identity-mismatch', 'store-full', 'busy', 'stopping']))
  // A thread that de-identifies may take too long, or die.
  expect(codes).toEqual(expect.arrayContaining(['worker-timeout', 'worker-died']))
  for (const code of ['outdated', 'not-acceptable', 'no-such-model', 'infer-failed', 'config-invalid'])
    expect(codes).not.toContain(code)
})

it('has every storage SOP class of the standard', () => {
  const uids = Object.keys(storageClasses)
  expect(uids.length).toBeGreaterThan(200)
  expect(uids.filter(uid => !isStorageClass(uid, false))).toEqual([])
})

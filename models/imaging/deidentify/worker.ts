/** Thread of the de-identification pool. */
import type { DeidentifyRules } from '../../../schemas/deidentify.ts'
import { type ErrorCode, toRaylogError } from '../../../schemas/errors.ts'
import type { Deidentified } from '../port.ts'
import { deidentify } from './deidentify.ts'

export interface DeidentifyTask {
  bytes: Uint8Array
  rules: DeidentifyRules
  key: Uint8Array
  site: string
}

/** Errors cross threads as values: a cloned Error would lose its code. */
export type DeidentifyResult = Deidentified | { code: ErrorCode; message: string }

/** What the pool calls by this name. */
export async function deidentifyObject({ bytes, rules, key, site }: DeidentifyTask): Promise<DeidentifyResult> {
  try {
    const done = await deidentify(bytes, { rules, key, site })
    // Small buffers are slices of one that Node shares, and cannot be given away.
    const own = done.bytes.byteLength === done.bytes.buffer.byteLength ? done.bytes : new Uint8Array(done.bytes)
    return { ...done, bytes: own }
  } catch (thrown) {
    const { code, message } = toRaylogError(thrown)
    return { code, message }
  }
}

/** Reports that Raylog made of a study and that a PACS sends back to it, as PACS do with all that they get. */
import type { Instance } from './topics.ts'

/** General Equipment (PS3.3 C.7.5.1) of DICOM objects that Raylog makes. */
export const reportEquipment = { manufacturer: 'Raylog', model: 'Raylog' } as const

/**
 * It is kept and shown like any other object, but it is no image of its study: no model reads it, and it makes no new
 * revision, which would be reported, sent and come back for ever.
 */
export const isOwnReport = ({ equipment }: Pick<Instance, 'equipment'>): boolean =>
  equipment?.manufacturer === reportEquipment.manufacturer && equipment.model === reportEquipment.model

/** The sender of each kind of destination, from its settings. */
import type { Network } from '../../../kafka/ports.ts'
import type { Clock } from '../../../monitoring/clock.ts'
import type { DocumentStore } from '../../../storage/documents.ts'
import type { Destination } from '../config.ts'
import type { Sender } from '../sender.ts'
import { dicomSender } from './dicom.ts'
import { fhirSender } from './fhir.ts'
import { folderSender } from './folder.ts'
import { hl7Sender } from './hl7.ts'
import { s3Sender } from './s3.ts'
import { stowSender } from './stow.ts'

export interface Surroundings {
  network: Network
  documents: DocumentStore
  clock: Clock
}

/** @throws RaylogError config-invalid */
export async function openSender(destination: Destination, around: Surroundings): Promise<Sender> {
  switch (destination.kind) {
    case 'dicom':
      return dicomSender({ settings: destination, ...around })
    case 'stow':
      return stowSender({ settings: destination, ...around })
    case 'fhir':
      return fhirSender(destination.name, destination, around.clock)
    case 'hl7':
      return hl7Sender(destination.name, destination)
    case 's3':
      return s3Sender(destination.name, destination)
    case 'folder':
      return folderSender(destination)
  }
}

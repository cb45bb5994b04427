/** The sender of each kind of destination, from its settings. */
import type { Network } from '../../../kafka/ports.ts'
import type { Clock } from '../../../monitoring/clock.ts'
import type { DocumentStore } from '../../../storage/documents.ts'
import type { Destination } from '../config.ts'
import type { Sender } from '../sender.ts'
import { dicomSender } from './dicom.ts'
import { folderSender } from './folder.ts'

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
    case 'folder':
      return folderSender(destination)
  }
}

/** C-STORE (PS3.4 B): success is said when the image is kept. */
import type { Logger } from 'pino'
import { commandField, status } from '../../../dicom/command.ts'
import { toRaylogError } from '../../../schemas/errors.ts'
import type { DataSet } from '../data-set.ts'
import { isStorageClass } from '../syntaxes.ts'
import type { Answer, Association, Message, Service } from './service.ts'

export interface StoreRequest {
  association: Association
  sopClass: string
  sopInstance: string
  transferSyntax: string
  /** Who asked for the C-MOVE that it is part of; empty: it is of none. */
  originator: string
  /** Undefined where the request announced none. */
  dataSet: Pick<DataSet, 'bytes' | 'fill'> | undefined
}

/** Resolves when the image is kept. @throws RaylogError; then the sender is told its status */
export type Store = (request: StoreRequest) => Promise<void>

export function storeService(store: Store, logger: Logger): Service {
  async function serve({ association, context, command, data }: Message): Promise<Answer> {
    const { abstractSyntax, transferSyntax } = context
    const { sopClass, sopInstance, originator } = command
    const { calling } = association
    if (sopClass !== abstractSyntax)
      return { code: status.sopClassNotSupported, comment: 'SOP class is not that of the presentation context' }
    try {
      await store({ association, sopClass, sopInstance, transferSyntax, originator, dataSet: data })
      return { code: status.success }
    } catch (thrown) {
      const error = toRaylogError(thrown)
      logger.warn({ calling, code: error.code, reason: error.message }, 'image refused')
      return { code: error.entry.dimse, comment: `${error.code}: ${error.message}` }
    }
  }
  // Private classes are in a context only where the settings let them.
  return { field: commandField.store, takes: abstractSyntax => isStorageClass(abstractSyntax, true), serve }
}

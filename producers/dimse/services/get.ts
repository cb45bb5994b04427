/** C-GET (PS3.4 C.4.3): the instances come back as C-STOREs on the same association, where the peer is SCP of their class. */

import { type Command, commandField, responseBit, writeStoreRequest } from '../../../dicom/command.ts'
import { abortReason, ProtocolError } from '../../../dicom/pdu.ts'
import { RaylogError, toRaylogError } from '../../../schemas/errors.ts'
import type { AcceptedContext } from '../negotiate.ts'
import { serviceClass } from '../sop-classes.ts'
import {
  dataSetOf,
  type Outcome,
  outcomeOf,
  type RetrieveOptions,
  retrieve,
  type Sender,
  type Stored,
} from './retrieve.ts'
import { type Answer, AssociationEnded, type Message, type Service } from './service.ts'

export interface GetOptions extends RetrieveOptions {
  /** The peer has so long to answer each C-STORE, ms. */
  answerMs: number
}

export function getService(options: GetOptions): Service {
  const serve = (message: Message): Promise<Answer> => retrieve(message, options, () => backSender(message, options))
  return { field: commandField.get, takes: uid => serviceClass(uid)?.service === 'get', serve }
}

/** The context on which an instance can go as it is stored. */
function contextFor(contexts: ReadonlyMap<number, AcceptedContext>, { sopClass, transferSyntax }: Stored) {
  for (const [id, context] of contexts)
    if (context.peerIsScp && context.abstractSyntax === sopClass && context.transferSyntax === transferSyntax) return id
  return undefined
}

function backSender({ association, command }: Message, { objects, logger, answerMs }: GetOptions): Sender {
  let lastId = 0

  /** @throws AssociationEnded, ProtocolError */
  async function answerTo(messageId: number): Promise<Command> {
    for (;;) {
      const came = await association.receive(answerMs)
      if (came === undefined) throw new AssociationEnded({ kind: 'late' })
      const answers = came.field === (commandField.store | responseBit) && came.respondedTo === messageId
      if (answers) return came
      if (came.field === commandField.cancel && came.respondedTo === command.messageId) cancelled = true
    }
  }
  let cancelled = false

  return {
    get cancelled() {
      return cancelled
    },
    async send(instance): Promise<Outcome> {
      const context = contextFor(association.contexts, instance)
      if (context === undefined) return 'failed'
      let dataSet: AsyncIterable<Buffer>
      try {
        dataSet = await dataSetOf(objects, instance.object)
      } catch (thrown) {
        logger.warn({ code: toRaylogError(thrown).code, key: instance.object.key }, 'not sent')
        return 'failed'
      }
      lastId = (lastId % 65_535) + 1
      try {
        await association.send(context, writeStoreRequest(lastId, instance.sopClass, instance.sopInstance), dataSet)
      } catch (thrown) {
        // Half of a data set cannot be taken back.
        if (thrown instanceof RaylogError) throw new ProtocolError(abortReason.notSpecified, thrown.message)
        throw thrown
      }
      return outcomeOf((await answerTo(lastId)).status)
    },
    close: () => Promise.resolve(),
  }
}

/** C-GET (PS3.4 C.4.3): the instances come back as C-STOREs on the same association, where the peer is SCP of their class. */

import { type Command, commandField, responseBit, writeStoreRequest } from '../../../dicom/command.ts'
import { abortReason, ProtocolError } from '../../../dicom/pdu.ts'
import { RaylogError, toRaylogError } from '../../../schemas/errors.ts'
import { callerOf } from '../places.ts'
import { serviceClass } from '../sop-classes.ts'
import {
  countedAs,
  type Outcome,
  type Outgoing,
  outgoing,
  type RetrieveOptions,
  retrieve,
  type Sender,
} from './retrieve.ts'
import { type Answer, AssociationEnded, type Message, type Service } from './service.ts'

export interface GetOptions extends RetrieveOptions {
  /** The peer has so long to answer each C-STORE, ms. */
  answerMs: number
  /** Whether what goes to this AE title is de-identified, whatever the caller was admitted as. */
  deidentifies(aeTitle: string): boolean
}

export function getService(options: GetOptions): Service {
  const serve = (message: Message): Promise<Answer> => retrieve(message, options, () => backSender(message, options))
  return { field: commandField.get, takes: uid => serviceClass(uid)?.service === 'get', serve }
}

function backSender({ association, command }: Message, options: GetOptions): Sender {
  const { logger, answerMs } = options
  // One that settings name only to be called may be admitted as anyone: what leaves under its title has nobody in it either.
  const deidentify = (association.peer?.deidentify ?? false) || options.deidentifies(association.calling)
  const name = callerOf(association.peer, association.address)
  const takers = [...association.contexts].flatMap(([id, context]) => (context.peerIsScp ? [{ id, ...context }] : []))
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
      let sending: Outgoing | undefined
      let context: (typeof takers)[number] | undefined
      let dataSet: AsyncIterable<Buffer>
      try {
        try {
          sending = await outgoing(options, instance, { name, deidentify, signal: association.signal })
          context = sending.contextOf(takers)
          if (context === undefined) return 'failed'
          dataSet = await sending.dataSet(context.transferSyntax)
        } catch (thrown) {
          logger.warn({ code: toRaylogError(thrown).code, key: instance.object.key }, 'not sent')
          return 'failed'
        }
        lastId = (lastId % 65_535) + 1
        try {
          await association.send(context.id, writeStoreRequest(lastId, instance.sopClass, sending.sopInstance), dataSet)
        } catch (thrown) {
          // Half of a data set cannot be taken back.
          if (thrown instanceof RaylogError) throw new ProtocolError(abortReason.notSpecified, thrown.message)
          throw thrown
        }
      } finally {
        sending?.done()
      }
      return countedAs((await answerTo(lastId)).status)
    },
    close: () => Promise.resolve(),
  }
}

/** C-MOVE (PS3.4 C.4.2): the instances go to a destination of the settings, over an association of ours. */

import { commandField, writeStoreRequest } from '../../../dicom/command.ts'
import { maxContexts, type ProposedSyntaxes, type Requestor } from '../../../dicom/requestor.ts'
import { toRaylogError } from '../../../schemas/errors.ts'
import type { Call, Directory } from '../directory.ts'
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
import type { Answer, Message, Service } from './service.ts'

export interface MoveOptions extends RetrieveOptions {
  directory: Directory
}

const destinationUnknown = 0xa801

export function moveService(options: MoveOptions): Service {
  function serve(message: Message): Promise<Answer> {
    const { association, command } = message
    const call = options.directory(command.destination)
    if (call) return retrieve(message, options, instances => awaySender(message, options, call, instances))
    options.logger.warn({ calling: association.calling, destination: command.destination }, 'unknown destination')
    return Promise.resolve({ code: destinationUnknown, comment: 'the move destination is not known here' })
  }
  return { field: commandField.move, takes: uid => serviceClass(uid)?.service === 'move', serve }
}

const pairOf = ({ sopClass, transferSyntax }: Stored) => `${sopClass} ${transferSyntax}`

/** What to propose for the instances from `from` on: each class as its instances are stored, as many as fit. */
function proposal(instances: readonly Stored[], from: number): ProposedSyntaxes[] {
  const pairs = new Map<string, ProposedSyntaxes>()
  for (const instance of instances.slice(from)) {
    const pair = pairOf(instance)
    if (pairs.has(pair)) continue
    if (pairs.size === maxContexts) break
    pairs.set(pair, { abstractSyntax: instance.sopClass, transferSyntaxes: [instance.transferSyntax] })
  }
  return [...pairs.values()]
}

/** A destination that was there and broke off is called again, so often in one request. */
const maxCalls = 3

function awaySender(
  { association, command }: Message,
  { objects, logger }: MoveOptions,
  call: Call,
  instances: readonly Stored[],
): Sender {
  const originator = { aeTitle: association.calling, messageId: command.messageId }
  const { destination } = command
  let open: { peer: Requestor; proposed: ReadonlySet<string> } | undefined
  let next = 0
  let failures = 0

  /** The association on which the instance was proposed. */
  async function peerFor(instance: Stored, at: number): Promise<Requestor> {
    if (open?.proposed.has(pairOf(instance))) return open.peer
    await close()
    const contexts = proposal(instances, at)
    const peer = await call(contexts, { signal: association.signal })
    const proposed = new Set(contexts.map(each => `${each.abstractSyntax} ${each.transferSyntaxes[0]}`))
    open = { peer, proposed }
    return peer
  }

  async function close(): Promise<void> {
    const closing = open?.peer
    open = undefined
    await closing?.release()
  }

  async function attempt(instance: Stored, at: number): Promise<Outcome> {
    const { sopClass, sopInstance, transferSyntax } = instance
    const peer = await peerFor(instance, at)
    const context = peer.contexts.find(
      each => each.abstractSyntax === sopClass && each.transferSyntax === transferSyntax,
    )
    if (!context) return 'failed'
    const dataSet = await dataSetOf(objects, instance.object)
    const answer = await peer.request(context, id => writeStoreRequest(id, sopClass, sopInstance, originator), dataSet)
    return outcomeOf(answer.status)
  }

  return {
    async send(instance): Promise<Outcome> {
      const at = next++
      if (failures >= maxCalls) return 'failed'
      try {
        return await attempt(instance, at)
      } catch (thrown) {
        const { code, message: reason } = toRaylogError(thrown)
        logger.warn({ destination, code, reason }, 'not sent')
        if (code === 'object-missing') return 'failed'
        failures++
        open?.peer.abort()
        open = undefined
        return 'failed'
      }
    },
    close,
  }
}

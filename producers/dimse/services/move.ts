/** C-MOVE (PS3.4 C.4.2): the instances go to a destination of the settings, over an association of ours. */

import { commandField, writeStoreRequest } from '../../../dicom/command.ts'
import { maxContexts, type ProposedSyntaxes, type Requestor } from '../../../dicom/requestor.ts'
import { toRaylogError } from '../../../schemas/errors.ts'
import type { Callable, Directory } from '../directory.ts'
import { serviceClass } from '../sop-classes.ts'
import {
  countedAs,
  type Outcome,
  type Outgoing,
  outgoing,
  type RetrieveOptions,
  retrieve,
  type Sender,
  type Stored,
} from './retrieve.ts'
import type { Answer, Message, Service } from './service.ts'

export interface MoveOptions extends RetrieveOptions {
  directory: Directory
}

/** Of PS3.4 C.4.2.1.5. */
export const moveStatus = { destinationUnknown: 0xa801 } as const

export function moveService(options: MoveOptions): Service {
  function serve(message: Message): Promise<Answer> {
    const { association, command } = message
    const found = options.directory(command.destination)
    if (found) return retrieve(message, options, instances => awaySender(message, options, found, instances))
    options.logger.warn({ calling: association.calling, destination: command.destination }, 'unknown destination')
    return Promise.resolve({ code: moveStatus.destinationUnknown, comment: 'the move destination is not known here' })
  }
  return { field: commandField.move, takes: uid => serviceClass(uid)?.service === 'move', serve }
}

const pairOf = ({ sopClass, transferSyntax }: Stored) => `${sopClass} ${transferSyntax}`

/**
 * What to propose for the instances from `from` on, as many as fit: each class as its instances are stored, and once more in
 * the syntaxes that they can be given in, for a destination that has nothing else.
 */
function proposal(instances: readonly Stored[], from: number, { dicom }: MoveOptions['images']) {
  const stored = new Set<string>()
  const classes = new Set<string>()
  const contexts: ProposedSyntaxes[] = []
  for (const instance of instances.slice(from)) {
    const { sopClass: abstractSyntax, transferSyntax } = instance
    const pair = pairOf(instance)
    if (stored.has(pair)) continue
    const others = dicom.transcodesTo(transferSyntax)
    const fallback = others.length > 0 && !classes.has(abstractSyntax)
    if (contexts.length + (fallback ? 2 : 1) > maxContexts) break
    stored.add(pair)
    contexts.push({ abstractSyntax, transferSyntaxes: [transferSyntax] })
    if (!fallback) continue
    classes.add(abstractSyntax)
    contexts.push({ abstractSyntax, transferSyntaxes: others })
  }
  return { stored, contexts }
}

/** A destination that was there and broke off is called again, so often in one request. */
export const maxCalls = 3

function awaySender(
  { association, command }: Message,
  options: MoveOptions,
  { call, deidentify }: Callable,
  instances: readonly Stored[],
): Sender {
  const { images, logger } = options
  const originator = { aeTitle: association.calling, messageId: command.messageId }
  const { destination } = command
  let open: { peer: Requestor; proposed: ReadonlySet<string> } | undefined
  let next = 0
  let failures = 0

  /** The association on which the instance was proposed. */
  async function peerFor(instance: Stored, at: number): Promise<Requestor> {
    if (open?.proposed.has(pairOf(instance))) return open.peer
    await close()
    const { stored: proposed, contexts } = proposal(instances, at, images)
    const peer = await call(contexts, { signal: association.signal })
    open = { peer, proposed }
    return peer
  }

  async function close(): Promise<void> {
    const closing = open?.peer
    open = undefined
    await closing?.release()
  }

  async function attempt(instance: Stored, at: number): Promise<Outcome> {
    const peer = await peerFor(instance, at)
    let sending: Outgoing | undefined
    let context: (typeof peer.contexts)[number] | undefined
    let dataSet: AsyncIterable<Buffer>
    try {
      try {
        sending = await outgoing(options, instance, { name: destination, deidentify, signal: association.signal })
        context = sending.contextOf(peer.contexts)
        if (!context) return 'failed'
        dataSet = await sending.dataSet(context.transferSyntax)
      } catch (thrown) {
        tell(thrown)
        return 'failed'
      }
      const ours: unknown[] = []
      const { sopInstance } = sending
      const request = (id: number) => writeStoreRequest(id, instance.sopClass, sopInstance, originator)
      try {
        return countedAs(
          (await peer.request(context, request, noting(dataSet, { thrown: ours, done: sending.done }))).status,
        )
      } catch (thrown) {
        // Half of a data set cannot be taken back; but the destination is not at fault.
        if (ours.length > 0) failures--
        throw thrown
      }
    } finally {
      sending?.done()
    }
  }

  function tell(thrown: unknown): void {
    const { code, message: reason } = toRaylogError(thrown)
    logger.warn({ destination, code, reason }, 'not sent')
  }

  return {
    async send(instance): Promise<Outcome> {
      const at = next++
      if (failures >= maxCalls) return 'failed'
      try {
        return await attempt(instance, at)
      } catch (thrown) {
        tell(thrown)
        failures++
        open?.peer.abort()
        open = undefined
        return 'failed'
      }
    },
    close,
  }
}

/** The same; what it throws is noted, and its end told. */
async function* noting(
  dataSet: AsyncIterable<Buffer>,
  { thrown, done }: { thrown: unknown[]; done: () => void },
): AsyncGenerator<Buffer> {
  try {
    yield* dataSet
  } catch (error) {
    thrown.push(error)
    throw error
  } finally {
    // A destination that does not answer holds up no one else's.
    done()
  }
}

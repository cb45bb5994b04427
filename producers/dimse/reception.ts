/** From a C-STORE to the intake: as fast as its sender may, under its sender's site, priority and models. */

import { filePrefix } from '../../dicom/part10.ts'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { Peer } from '../../schemas/peers.ts'
import type { Instance } from '../../schemas/topics.ts'
import type { Hints, Incoming, Intake } from '../intake.ts'
import { createRate, type Rate } from '../rate.ts'
import type { Store, StoreRequest } from './services/store.ts'
import type { Transfers } from './transfers.ts'

/** A data set as a Part 10 file. */
function asFile({ sopClass, sopInstance, transferSyntax, dataSet }: StoreRequest): Incoming {
  const prefix = filePrefix(sopClass, sopInstance, transferSyntax)
  let begun = false
  return {
    async fill(into, seen) {
      if (!dataSet) return { bytes: 0, ended: true }
      begun = true
      into.set(prefix)
      seen?.(prefix)
      const { bytes, ended } = await dataSet.fill(into.subarray(prefix.length), seen)
      return { bytes: bytes === 0 ? 0 : prefix.length + bytes, ended }
    },
    async *[Symbol.asyncIterator]() {
      for await (const bytes of dataSet?.bytes() ?? []) {
        if (!begun) yield prefix
        begun = true
        yield bytes
      }
    },
  }
}

export interface ReceptionOptions {
  intake: Intake
  transfers: Transfers
  clock: Clock
  /** Aborted when nothing new is taken: whoever waits for their turn is sent away. */
  stopping: AbortSignal
}

/**
 * What we asked a peer to move to us is pulled, whichever way it comes (producers/retrieve). That it is so only the sender
 * says: de-identification goes by both ways.
 */
function wayIn({ association: { calling, called, peer }, originator }: StoreRequest): Pick<Hints, 'source' | 'cameBy'> {
  const dimse = { kind: 'dimse', peer: calling } as const
  if (!peer || originator !== called) return { source: dimse }
  return { source: { kind: 'retrieve', peer: peer.name }, cameBy: dimse }
}

export function createReception({ intake, transfers, clock, stopping }: ReceptionOptions): Store {
  /** By the peer's name: its associations share it. */
  const rates = new Map<string, Rate>()

  function rateOf(peer: Peer): Rate {
    const known = rates.get(peer.name) ?? createRate(peer, clock)
    rates.set(peer.name, known)
    return known
  }

  return async request => {
    const { association, sopClass, sopInstance } = request
    const { peer } = association
    // UIDs have 64 characters at most (PS3.5 9.1); a longer one would not fit the file meta group.
    if (sopInstance.length > 64 || sopClass.length > 64)
      throw new RaylogError('identity-mismatch', 'the request names an instance that is no UID')
    const rate = peer && rateOf(peer)
    // Before it has a place in the intake, so that one who waits takes none from the others.
    await rate?.turn(AbortSignal.any([stopping, association.signal]))
    let event: Instance | undefined
    const received = await intake.receive(asFile(request), {
      ...wayIn(request),
      expect: { sopClass, sopInstance },
      ...(peer ? { priority: peer.priority, requested: peer.models } : {}),
      ...(peer?.site == null ? {} : { site: peer.site }),
      beforePublish: about => {
        event = about
      },
    })
    rate?.spent(received.object.bytes)
    if (event) transfers.received(association, event)
  }
}

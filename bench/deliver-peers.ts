/**
 * The other systems of bench/deliver.ts, in a process of their own as they would be, so that their work is not taken for ours: a
 * PACS that takes as long for each association as it is told, and a FHIR server that notes when each bundle came.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { commandField } from '../dicom/command.ts'
import type { Service } from '../producers/dimse/services/service.ts'
import { startPeer } from '../tests/harness/little-peer.ts'

/** What is asked of this process. Each is answered. */
export interface Ask {
  /** From now on, ms for an association. */
  associationMs?: number
}

export interface Answer {
  pacsPort: number
  fhirUrl: string
  /** Reports that the PACS took, so far. */
  stored: number
  /** Number of each bundle, and when it came, by `hostMs`. */
  came: [number, number][]
}

/** The monotonic clock of the machine, ms: the same in every process. */
export const hostMs = (): number => Number(process.hrtime.bigint()) / 1e6

let associationMs = 0
let stored = 0
const came: [number, number][] = []

/** Stores nothing, slowly. */
async function slowPacs(): Promise<number> {
  const store: Service = {
    field: commandField.store,
    takes: () => true,
    async serve({ data }) {
      await data?.skip()
      await wait(associationMs)
      stored++
      return { code: 0 }
    },
  }
  return (await startPeer('PACS', [store])).port
}

async function fhirServer(): Promise<string> {
  const server = createServer(async (request, response) => {
    const body: { entry: [{ number: number }] } = JSON.parse(Buffer.concat(await request.toArray()).toString())
    came.push([body.entry[0].number, hostMs()])
    response.end('{"resourceType":"Bundle","type":"transaction-response"}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

if (process.send) {
  const [pacsPort, fhirUrl] = await Promise.all([slowPacs(), fhirServer()])
  process.on('message', (ask: Ask) => {
    associationMs = ask.associationMs ?? associationMs
    const answer: Answer = { pacsPort, fhirUrl, stored, came }
    process.send?.(answer)
    came.length = 0
  })
  process.on('disconnect', () => process.exit())
  const ready: Answer = { pacsPort, fhirUrl, stored, came }
  process.send(ready)
}

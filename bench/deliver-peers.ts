/**
 * The other systems of bench/deliver.ts, in a process of their own as they would be, so that their work is not taken for ours: a
 * PACS that takes as long for each association as it is told, or stands still, and a FHIR server, a DICOMweb server, an HL7
 * receiver and somebody who looks into a folder, who note when each report came.
 */
import { once } from 'node:events'
import { watch } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { commandField } from '../dicom/command.ts'
import { controlIdOf } from '../hl7/mllp.ts'
import type { Service } from '../producers/dimse/services/service.ts'
import { startHl7 } from '../tests/harness/hl7-receiver.ts'
import { startPeer } from '../tests/harness/little-peer.ts'
import { hostMs } from './clock.ts'

/** What is asked of this process. Each is answered. */
export interface Ask {
  /** From now on, ms for an association; null: it stands still, and so do those that are under way. */
  associationMs?: number | null
  /** Look into this folder, which is there. */
  folder?: string
}

export interface Answer {
  ports: { pacs: number; fhir: number; stow: number; hl7: number }
  /** Reports that the PACS took, so far. */
  stored: number
  /** Number of each report that came since the last answer, and when, by `hostMs`. */
  came: [number, number][]
}

let associationMs = 0
let stored = 0
const came: [number, number][] = []
/** While the PACS stands still: resolves when it goes on. */
let standing: PromiseWithResolvers<void> | null = null

function pace(ms: number | null): void {
  if (ms === null) {
    standing ??= Promise.withResolvers()
    return
  }
  associationMs = ms
  standing?.resolve()
  standing = null
}

/** Stores nothing, slowly. */
async function slowPacs(): Promise<number> {
  const store: Service = {
    field: commandField.store,
    takes: () => true,
    async serve({ data }) {
      await data?.skip()
      await standing?.promise
      await wait(associationMs)
      stored++
      return { code: 0 }
    },
  }
  return (await startPeer('PACS', [store])).port
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** Takes what holds a number after the mark, which its first match is. */
function httpServer(mark: RegExp, answer: string): Promise<number> {
  const take = async (request: IncomingMessage) => {
    const body = Buffer.concat(await request.toArray()).toString('latin1')
    came.push([Number(mark.exec(body)?.[1]), hostMs()])
  }
  return portOf(createServer((request, response) => void take(request).then(() => response.end(answer))))
}

async function hl7Receiver(): Promise<number> {
  const { port } = await startHl7('AA', message => {
    came.push([Number(controlIdOf(Buffer.from(message))), hostMs()])
    return ''
  })
  return port
}

/** A file appears under its name when it is whole. */
function lookInto(folder: string): void {
  watch(folder, (_event, name) => {
    const number = /^[^.].*_(\d+)\./.exec(name ?? '')?.[1]
    if (number !== undefined) came.push([Number(number), hostMs()])
  })
}

if (process.send) {
  const [pacs, fhir, stow, hl7] = await Promise.all([
    slowPacs(),
    httpServer(/"number":(\d+)/, '{"resourceType":"Bundle","type":"transaction-response"}'),
    httpServer(/2\.25\.(\d+)/, '{}'),
    hl7Receiver(),
  ])
  const ports = { pacs, fhir, stow, hl7 }
  const answer = (): Answer => ({ ports, stored, came })
  process.on('message', (ask: Ask) => {
    if (ask.associationMs !== undefined) pace(ask.associationMs)
    if (ask.folder !== undefined) lookInto(ask.folder)
    process.send?.(answer())
    came.length = 0
  })
  process.on('disconnect', () => process.exit())
  process.send(answer())
}

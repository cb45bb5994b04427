/**
 * Tells a syslog server of each audit entry, as DICOM says it (PS3.15 A.5, A.6). A stage of its own, so that a server that is away
 * holds up its own place in the log and nothing else: entries wait there, and are sent when it is back.
 */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { z } from 'zod'
import { defineStage } from '../../kafka/stage.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'
import { createBatches } from './batches.ts'
import { syslogMessage } from './message.ts'
import { deliver, type SyslogServer } from './transport.ts'

const file = (what: string) => z.string().min(1).nullable().default(null).describe(what)

const syslogConfig = z.strictObject({
  host: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe('syslog server that is told of every audit entry; null: none'),
  port: z.int().min(1).max(65_535).nullable().default(null).describe('null: 6514 for tls, 601 for tcp, 514 for udp'),
  protocol: z
    .enum(['tls', 'tcp', 'udp'])
    .default('tls')
    .describe('tls: RFC 5425; tcp: RFC 6587 with octet counting; udp: RFC 5426, where what is lost is lost'),
  caFile: file("PEM of the server's CA; null: those of Node"),
  certFile: file('PEM of our certificate, where the server asks for one'),
  keyFile: file('PEM of its key'),
  sourceId: z.string().min(1).max(255).default('raylog').describe('AuditSourceID: what this installation is called'),
  timeoutMs: z.int().min(100).max(600_000).default(10_000).describe('for one batch, ms'),
  maxBatch: z.int().min(1).max(1_000).default(200).describe('entries sent over one connection'),
})

const ports = { tls: 6514, tcp: 601, udp: 514 } as const

function read(name: string, path: string | null): Buffer | undefined {
  if (path === null) return undefined
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new RaylogError('config-invalid', `syslog.${name}: ${path} cannot be read`, { cause })
  }
}

export const syslog = defineStage({
  name: 'syslog',
  role: 'consumer',
  summary: 'tells a syslog server of each audit entry, as DICOM says it',
  reads: [topics.audit],
  writes: [],
  needs: [],
  config: syslogConfig,
  order: 'none',
  concurrency: config => config.maxBatch,
  async open({ config, site }) {
    const { host, protocol, port, timeoutMs } = config
    if (host === null) return { handle: () => undefined }
    const server: SyslogServer = {
      ...{ host, protocol, timeoutMs, port: port ?? ports[protocol] },
      tls: {
        ca: read('caFile', config.caFile),
        cert: read('certFile', config.certFile),
        key: read('keyFile', config.keyFile),
      },
    }
    const source = { site, id: config.sourceId, host: hostname(), processId: process.pid }
    const batches = createBatches((messages: readonly Buffer[]) => deliver(server, messages), config.maxBatch)
    return { handle: ({ event }) => batches.add(syslogMessage(event, source)) }
  },
})

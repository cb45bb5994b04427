/** Another system that is called over DICOM, which does what its services do and nothing else. */
import pino from 'pino'
import { createAdmission } from '../../producers/dimse/admission.ts'
import { type ServerOptions, startServer } from '../../producers/dimse/server.ts'
import type { Service } from '../../producers/dimse/services/service.ts'

export interface LittlePeer {
  readonly port: number
  close(): Promise<void>
}

/** @param over from anyone who calls it by its AE title, and it offers nothing, unless told otherwise */
export async function startPeer(
  aeTitle: string,
  services: readonly Service[],
  over: Partial<ServerOptions> = {},
): Promise<LittlePeer> {
  const server = await startServer({
    plain: { host: '127.0.0.1', port: 0 },
    tls: null,
    ...{ aeTitle, strictAeTitle: true, privateSopClasses: false, maxAssociations: 100, maxPduBytes: 131_072 },
    ...{ maxAssociationsPerCaller: 100, maxUnassociatedPerAddress: 100 },
    ...{ artimMs: 10_000, idleMs: 60_000, stallMs: 60_000, logger: pino({ level: 'silent' }) },
    services: new Map(services.map(one => [one.field, one])),
    offered: new Set(),
    observer: { opened() {}, rejected() {}, refusedTls() {}, dropped() {} },
    identify: createAdmission({ peers: [], acceptAnyone: true }),
    ...over,
  })
  return { port: server.plain?.port ?? 0, close: () => server.close() }
}

/** C-STORE and C-ECHO SCP: modalities and PACS send here. "Stored" (0x0000) is said when bytes and event are durable. */
import { z } from 'zod'
import { defineStage } from '../../kafka/stage.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'
import { createIntake } from '../intake.ts'
import { filePrefix } from '../part10.ts'
import { startServer } from './server.ts'
import { echo } from './services/echo.ts'
import { type Store, type StoreRequest, storeService } from './services/store.ts'

const dimseConfig = z.strictObject({
  host: z.string().default('127.0.0.1').describe('address to listen on; 0.0.0.0 lets other machines send'),
  port: z.int().min(0).max(65_535).default(11_112).describe('the next free one is taken if it is in use; 0: any'),
  aeTitle: z
    .string()
    .regex(/^[!-[\]-~]([ -[\]-~]{0,14}[!-[\]-~])?$/)
    .default('RAYLOG')
    .describe('our application entity title'),
  strictAeTitle: z.boolean().default(false).describe('refuse associations that call another title'),
  privateSopClasses: z.boolean().default(false).describe("take SOP classes outside the standard's root too"),
  maxAssociations: z.int().min(1).max(10_000).default(256).describe('at once; more are refused for the moment'),
  maxPduBytes: z
    .int()
    .min(4_096)
    .max(1_048_576)
    .default(131_072)
    .describe('longest P-DATA-TF that senders may use, bytes'),
  maxBytes: z
    .int()
    .min(1)
    .default(4 * 1024 ** 3)
    .describe('one image, bytes'),
  concurrency: z.int().min(1).max(1_024).default(32).describe('images received at once'),
  waitMs: z.int().min(0).max(60_000).default(10_000).describe('an image waits so long for a place, then 0xA700, ms'),
  artimMs: z.int().min(10).default(10_000).describe('for an association request, and for the end of a connection, ms'),
  idleMs: z.int().min(10).default(300_000).describe('an association without messages is aborted after this, ms'),
  stallMs: z.int().min(10).default(60_000).describe('a message of which nothing more comes is given up, ms'),
})

/** A data set as a Part 10 file. */
async function* asFile({ sopClass, sopInstance, transferSyntax, dataSet }: StoreRequest): AsyncGenerator<Buffer> {
  let first = true
  for await (const bytes of dataSet) {
    if (first) yield filePrefix(sopClass, sopInstance, transferSyntax)
    first = false
    yield bytes
  }
}

export const dimse = defineStage({
  name: 'dimse',
  role: 'producer',
  summary: 'receives images by DICOM C-STORE; from this machine alone unless its host says otherwise',
  reads: [],
  writes: [topics.instances],
  needs: ['objects', 'images', 'secrets', 'metrics', 'health', 'endpoints'],
  config: dimseConfig,
  async open({ config, deps, publish, logger, site, clock }) {
    const { concurrency: limit, waitMs, maxBytes } = config
    const intake = createIntake({ producer: 'dimse', site, clock, deps, publish, limit, waitMs, maxBytes })
    const store: Store = async request => {
      const { calling, sopClass, sopInstance } = request
      // UIDs have 64 characters at most (PS3.5 9.1); a longer one would not fit the file meta group.
      if (sopInstance.length > 64 || sopClass.length > 64)
        throw new RaylogError('identity-mismatch', 'the request names an instance that is no UID')
      await intake.receive(asFile(request), {
        source: { kind: 'dimse', peer: calling },
        expect: { sopClass, sopInstance },
      })
    }
    const services = new Map([echo, storeService(store, logger)].map(service => [service.field, service]))
    const server = await startServer({ ...config, logger, services, offered: new Set() })
    const unregister = deps.health.register('dimse', () => {
      if (!server.listening) throw new RaylogError('stopping', 'the DICOM port is closed')
    })
    deps.endpoints.set('dicom', { host: server.host, port: server.port, aeTitle: config.aeTitle })
    logger.info({ host: server.host, port: server.port, aeTitle: config.aeTitle }, 'DICOM C-STORE')
    return {
      drain: () => server.drain(),
      async close() {
        unregister()
        await server.close()
      },
    }
  },
})

/** DICOMweb on real stores over real HTTP: STOW-RS, persist and the gateway's routes in one process, without a log between. */
import { readFile } from 'node:fs/promises'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import pino from 'pino'
import { afterAll, beforeAll } from 'vitest'
import { persist } from '../../consumers/persist/stage.ts'
import { createAccessAudit } from '../../gateway/accesses.ts'
import { prefix } from '../../gateway/dicomweb/context.ts'
import { addDicomwebRoutes } from '../../gateway/dicomweb/routes.ts'
import { createHttp, listen } from '../../gateway/http.ts'
import { createHealth } from '../../monitoring/health.ts'
import { dicomweb } from '../../producers/dicomweb/stage.ts'
import type { Audited } from '../../schemas/audit.ts'
import { platformConfig } from '../../schemas/config.ts'
import type { DicomAttributes } from '../../schemas/dicom-json.ts'
import { topics } from '../../schemas/topics.ts'
import { createDicomIndex } from '../../storage/dicom-query.ts'
import { openProducer, type ProducerOptions } from '../harness/producer.ts'
import { openForTest } from '../harness/stage.ts'
import { openStores } from '../harness/stores.ts'

export const token = 'a-token-of-more-than-16-characters'

export interface KitOptions {
  /** Of the producer. */
  settings?: Record<string, unknown>
  dicomweb?: { maxResults?: number; maxInstances?: number }
  publishing?: ProducerOptions['publishing']
}

export type Kit = Awaited<ReturnType<typeof openDicomweb>>

export async function openDicomweb(options: KitOptions = {}) {
  const stores = await openStores()
  const logger = pino({ level: process.env.RAYLOG_TEST_LOG ?? 'silent' })
  const config = platformConfig.parse({ http: { port: 0 } }).http
  const health = createHealth()
  const { metrics } = stores
  const http = await createHttp({ config, token, logger, health, metrics, researchUseOnly: true })
  const keep = await openForTest(persist, stores)
  const producer = await openProducer(dicomweb, {
    stores,
    settings: options.settings ?? {},
    deps: { http },
    async publishing(event) {
      await options.publishing?.(event)
      await keep.hand(topics.instances, event)
    },
  })
  const audited: Audited[] = []
  const tell = (what: Audited) => void audited.push(what)
  const { maxResults = 1000, maxInstances = 10_000 } = options.dicomweb ?? {}
  await http.register(
    async app =>
      addDicomwebRoutes(app.withTypeProvider<ZodTypeProvider>(), {
        deps: stores,
        index: createDicomIndex(stores),
        settings: { maxResults, maxInstances },
        audit: createAccessAudit({ tell, tellOften: tell, flush: () => Promise.resolve() }),
      }),
    { prefix },
  )
  const { url } = await listen(http, config)
  const base = `${url}${prefix}`
  const headers = { authorization: `Bearer ${token}` }
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(`${base}${path}`, { ...init, headers: { ...headers, ...Object.fromEntries(new Headers(init.headers)) } })

  return {
    stores,
    producer,
    /** What the routes of the gateway told the audit; that of STOW-RS is with the producer. */
    audited,
    base,
    ask,
    async json(path: string): Promise<DicomAttributes[]> {
      const answer = await ask(path)
      if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`)
      return JSON.parse(await answer.text())
    },
    /** Sends objects as the parts of one request. */
    store: (objects: readonly Uint8Array[], path = '/studies') =>
      ask(path, {
        method: 'POST',
        headers: { 'content-type': `multipart/related; type="application/dicom"; boundary=${boundary}` },
        body: related(objects),
      }),
    async close() {
      await producer.drain()
      await http.close()
      await producer.close()
      await keep.close()
      await stores.close()
    },
  }
}

/** What `openFilled` stores, all of one study and series. */
export const filledNames = ['implicit-i16.dcm', 'rle-frames.dcm', 'rgb.dcm', 'jpeg-50-grey.dcm', 'palette-8.dcm']

/** With some images in it, of which it knows the UIDs and the addresses. */
async function openFilled() {
  const kit = await openDicomweb({ dicomweb: { maxResults: 20 } })
  const stored = new Map<string, { bytes: Buffer; study: string; series: string; instance: string; path: string }>()
  for (const name of filledNames) {
    const bytes = await fixture(name)
    const answer = JSON.parse(await (await kit.store([bytes])).text())
    const url: string = answer['00081199'].Value[0]['00081190'].Value[0]
    const [, study = '', series = '', instance = ''] = /studies\/(.+)\/series\/(.+)\/instances\/(.+)$/.exec(url) ?? []
    stored.set(name, { bytes, study, series, instance, path: url.slice(kit.base.length) })
  }
  const of = (name: string) => {
    const one = stored.get(name)
    if (!one) throw new Error(`${name} was not stored`)
    return one
  }
  return { kit, of, bytesOf: (name: string) => of(name).bytes }
}

/** To be called once in a file: all its tests have one. */
export function filledPerFile() {
  let filled: Awaited<ReturnType<typeof openFilled>>
  beforeAll(async () => {
    filled = await openFilled()
  })
  afterAll(() => filled.kit.close())
  return {
    get kit() {
      return filled.kit
    },
    of: (name: string) => filled.of(name),
    bytesOf: (name: string) => filled.bytesOf(name),
  }
}

export async function problemOf(answer: Response) {
  const type = answer.headers.get('content-type')
  if (!type?.includes('application/problem+json')) throw new Error(`an answer of ${type}, which is no problem`)
  return JSON.parse(await answer.text())
}

export const boundary = 'a-boundary'

export function related(objects: readonly Uint8Array[]): Buffer {
  const parts = objects.flatMap(object => [
    Buffer.from(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`),
    object,
    Buffer.from('\r\n'),
  ])
  return Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)])
}

export interface AnsweredPart {
  headers: Record<string, string>
  body: Buffer
}

/** The parts of an answer, read as a client would: by its own boundary. */
export async function partsOf(answer: Response): Promise<AnsweredPart[]> {
  const [, boundary = ''] = /boundary=("?)([^";]+)\1/.exec(answer.headers.get('content-type') ?? '')?.slice(1) ?? []
  const bytes = Buffer.from(await answer.arrayBuffer())
  const parts: AnsweredPart[] = []
  const delimiter = `--${boundary}`
  let at = bytes.indexOf(delimiter)
  while (at >= 0) {
    const from = at + delimiter.length
    if (bytes.subarray(from, from + 2).toString() === '--') return parts
    const next = bytes.indexOf(`\r\n${delimiter}`, from)
    if (next < 0) throw new Error('a part without an end')
    const part = bytes.subarray(from + 2, next)
    const split = part.indexOf('\r\n\r\n')
    const lines = part.subarray(0, split).toString().split('\r\n')
    const headers = lines.map(line => [
      line.slice(0, line.indexOf(':')).toLowerCase(),
      line.slice(line.indexOf(':') + 1).trim(),
    ])
    parts.push({ headers: Object.fromEntries(headers), body: part.subarray(split + 4) })
    at = next + 2
  }
  throw new Error('no last boundary')
}

export const fixture = (name: string): Promise<Buffer> =>
  readFile(new URL(`../../models/fixtures/imaging/${name}`, import.meta.url))

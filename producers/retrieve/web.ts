/** A peer over DICOMweb: QIDO-RS, then WADO-RS image by image (PS3.18 10.4, 10.6). */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { RaylogError } from '../../schemas/errors.ts'
import type { Peer } from '../../schemas/peers.ts'
import { boundaryOf, partsOf } from './multipart.ts'
import { type FoundInstance, newestBefore, type Source } from './source.ts'

export interface WebSourceOptions {
  peer: Peer
  /** For an answer to begin, ms. */
  answerMs: number
  fetch?: typeof fetch
}

const tags = {
  studyDate: '00080020',
  sopClass: '00080016',
  sopInstance: '00080018',
  accession: '00080050',
  modalities: '00080061',
  patientId: '00100020',
  issuer: '00100021',
  study: '0020000D',
  series: '0020000E',
} as const

/** DICOM JSON (PS3.18 F): of each attribute its values, of which we read texts alone. */
const answer = z.array(z.record(z.string(), z.looseObject({ Value: z.array(z.unknown()).optional() })))
type Item = z.infer<typeof answer>[number]
const text = (item: Item, tag: string): string =>
  (item[tag]?.Value ?? []).filter(value => typeof value === 'string').join('\\')

const pageSize = 500
/** Answers to one query, beyond which the question was too wide. */
const mostAnswers = 100_000

export function webSource({ peer, answerMs, fetch: ask = fetch }: WebSourceOptions): Source {
  const { dicomweb } = peer
  if (!dicomweb) throw new RaylogError('config-invalid', `peer ${peer.name} has no dicomweb to be called at`)
  const root = dicomweb.url.replace(/\/$/, '')
  const authorization = authorizationOf(dicomweb)

  async function call(path: string, accept: string, signal: AbortSignal): Promise<Response> {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(new Error('no answer in time')), answerMs)
    let response: Response
    try {
      response = await ask(`${root}${path}`, {
        headers: { accept, ...(authorization ? { authorization } : {}) },
        redirect: 'error',
        signal: AbortSignal.any([signal, late.signal]),
      })
    } catch (cause) {
      signal.throwIfAborted()
      const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : String(cause)
      throw new RaylogError('peer-unavailable', `${peer.name}: ${reason}`, { cause })
    } finally {
      clearTimeout(timer)
    }
    if (response.ok) return response
    await response.body?.cancel()
    const again = response.status >= 500 || response.status === 429
    throw new RaylogError(again ? 'peer-unavailable' : 'peer-refused', `${peer.name}: HTTP ${response.status}`)
  }

  /** Page by page: servers answer with as many as they like at once. */
  async function search(path: string, keys: Record<string, string>, signal: AbortSignal): Promise<Item[]> {
    const found: Item[] = []
    for (;;) {
      const query = new URLSearchParams({ ...keys, limit: String(pageSize), offset: String(found.length) })
      const response = await call(`${path}?${query}`, 'application/dicom+json', signal)
      if (response.status === 204) return found
      const items = answer.safeParse(await response.json().catch(() => undefined))
      if (!items.success) throw new RaylogError('peer-refused', `${peer.name}: an answer that is not DICOM JSON`)
      found.push(...items.data)
      if (items.data.length < pageSize) return found
      if (found.length > mostAnswers) throw new RaylogError('peer-refused', `more than ${mostAnswers} answers`)
    }
  }

  return {
    async byAccession(accessionNumber, signal) {
      const found = await search('/studies', { AccessionNumber: accessionNumber, includefield: tags.accession }, signal)
      const right = found.filter(item => text(item, tags.accession) === accessionNumber)
      return [...new Set(right.map(item => text(item, tags.study)))]
    },
    async priors(of, signal) {
      const issuer: Record<string, string> = of.issuer === null ? {} : { IssuerOfPatientID: of.issuer }
      const found = await search('/studies', { PatientID: of.patientId, ...issuer }, signal)
      const theirs = found.filter(item => {
        const theirIssuer = text(item, tags.issuer)
        const sameIssuer = of.issuer === null || theirIssuer === '' || theirIssuer === of.issuer
        return text(item, tags.patientId) === of.patientId && sameIssuer
      })
      const studies = theirs.map(item => ({
        uid: text(item, tags.study),
        date: text(item, tags.studyDate),
        modalities: text(item, tags.modalities),
      }))
      return newestBefore(studies, of)
    },
    async instances(study, signal) {
      const found = await search(`/studies/${study}/instances`, {}, signal)
      return found.flatMap((item): FoundInstance[] => {
        const [series, sopInstance] = [text(item, tags.series), text(item, tags.sopInstance)]
        return sopInstance === '' ? [] : [{ series, sopInstance, sopClass: text(item, tags.sopClass) }]
      })
    },
    async fetch(study, wanted, receive, signal) {
      // As it is stored there: without the parameter a server makes it explicit VR little endian (PS3.18 8.7.3.5.2).
      const accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
      for (const { series, sopInstance, sopClass } of wanted) {
        const response = await call(`/studies/${study}/series/${series}/instances/${sopInstance}`, accept, signal)
        const boundary = boundaryOf(response.headers.get('content-type'))
        if (!response.body) throw new RaylogError('truncated', `${peer.name}: an answer without a body`)
        for await (const part of partsOf(response.body, boundary))
          await receive(part, sopClass === '' ? undefined : { sopClass, sopInstance })
      }
    },
  }
}

function authorizationOf({ username, passwordFile, tokenFile }: NonNullable<Peer['dicomweb']>): string | undefined {
  const secret = (path: string) => {
    try {
      return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
    } catch (cause) {
      throw new RaylogError('config-invalid', `${path} cannot be read`, { cause })
    }
  }
  if (tokenFile) return `Bearer ${secret(tokenFile)}`
  if (!username || !passwordFile) return undefined
  return `Basic ${Buffer.from(`${username}:${secret(passwordFile)}`).toString('base64')}`
}

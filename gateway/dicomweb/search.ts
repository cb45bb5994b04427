/** QIDO-RS (PS3.18 10.6): studies, series and instances by their attributes. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { indexedAttribute, type QueryLevel } from '../../schemas/dicom-index.ts'
import type { DicomAttributes } from '../../schemas/dicom-json.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { attributesOf, type DicomMatch } from '../../storage/dicom-query.ts'
import { requireJson } from './accept.ts'
import { baseUrl, type DicomwebContext, pathKeys, type Resource, urlOf } from './context.ts'

interface Asked {
  keys: Record<string, string>
  include: 'all' | string[]
  limit: number | undefined
  offset: number
  warnings: string[]
}

const mostKeys = 100

/** @param above what the path names; what is asked of is the level below, or the one of `level` */
export async function search(
  context: DicomwebContext,
  request: FastifyRequest,
  reply: FastifyReply,
  level: QueryLevel,
  above: Resource,
) {
  requireJson(request)
  const asked = readQuery(request.url)
  const keys = { ...asked.keys, ...pathKeys(above) }
  const { maxResults } = context.settings
  const limit = Math.min(asked.limit ?? maxResults, maxResults)
  context.audit.queried(request, level, namesOf(level, asked), above.study)
  const unsupported = context.index.unsupported({ level, keys })
  if (unsupported.length > 0)
    asked.warnings.push(`These keys are not supported and did not narrow the result: ${unsupported.join(' ')}`)
  const abort = new AbortController()
  reply.raw.once('close', () => abort.abort(new RaylogError('bad-request', 'the client is gone')))
  const found: DicomMatch[] = []
  const query = { level, keys, offset: asked.offset, limit: limit + 1, signal: abort.signal }
  if (limit > 0) for await (const match of context.index.find(query)) found.push(match)
  if (found.length > limit)
    asked.warnings.push('There are additional results that can be requested, with limit and offset')
  for (const warning of asked.warnings) reply.header('warning', `299 raylog "${warning}"`)
  const base = baseUrl(request)
  const answers = found.slice(0, limit).map(match => answerOf(match, level, above, asked.include, base))
  return reply.header('content-type', 'application/dicom+json').serializer(String).send(JSON.stringify(answers))
}

/** Any attribute can be a key, and its name is nobody's secret; what was searched for is. */
function namesOf(level: QueryLevel, { keys }: Asked): string {
  return [level, ...Object.keys(keys).map(key => indexedAttribute(key)?.keyword ?? key)].join(' ')
}

function answerOf(
  { values, study, series, instance }: DicomMatch,
  level: QueryLevel,
  above: Resource,
  include: Asked['include'],
  base: string,
): DicomAttributes {
  const levels = levelsAbove(level, above)
  const address = urlOf(base, { study: study?.uid, series: series?.uid, instance: instance?.uid })
  const answer = attributesOf(values, { level, include, above: levels })
  return {
    ...answer,
    // Whose it is, also where the study's own attributes are not asked for.
    ...(level !== 'STUDY' && study !== undefined && { '0020000D': { vr: 'UI', Value: [study.uid] } }),
    ...(level === 'IMAGE' && series !== undefined && { '0020000E': { vr: 'UI', Value: [series.uid] } }),
    '00081190': { vr: 'UR', Value: [address] },
  }
}

/** Attributes of the levels that the path does not name come along (PS3.18 10.6.3.3.1 to 3). */
function levelsAbove(level: QueryLevel, { study, series }: Resource): QueryLevel[] {
  if (level === 'STUDY') return ['PATIENT']
  const studies: QueryLevel[] = study === undefined ? ['PATIENT', 'STUDY'] : []
  return level === 'IMAGE' && series === undefined ? [...studies, 'SERIES'] : studies
}

/** @throws RaylogError bad-request */
export function readQuery(url: string): Asked {
  const asked: Asked = { keys: {}, include: [], limit: undefined, offset: 0, warnings: [] }
  const include: string[] = []
  let all = false
  for (const [name, value] of new URLSearchParams(url.split('?').slice(1).join('?'))) {
    switch (name.toLowerCase()) {
      case 'limit':
        asked.limit = wholeNumber(name, value)
        break
      case 'offset':
        asked.offset = wholeNumber(name, value)
        break
      case 'includefield':
        for (const field of value.split(',')) {
          if (field === 'all') all = true
          else if (field !== '') include.push(canonical(field))
        }
        break
      case 'fuzzymatching':
        if (value === 'true')
          asked.warnings.push('The fuzzymatching parameter is not supported. Only literal matching has been performed.')
        else if (value !== 'false') throw new RaylogError('bad-request', 'fuzzymatching is true or false')
        break
      case 'accept':
      case 'charset':
      case 'emptyvaluematching':
      case 'multiplevaluematching':
        break
      default:
        asked.keys[canonical(name)] = lists(name, value)
    }
  }
  if (Object.keys(asked.keys).length > mostKeys) throw new RaylogError('bad-request', `more than ${mostKeys} keys`)
  asked.include = all ? 'all' : include
  return asked
}

/** @throws RaylogError bad-request for what is no name of an attribute at all */
function canonical(name: string): string {
  if (!/^[A-Za-z0-9.]{1,200}$/.test(name)) throw new RaylogError('bad-request', 'a key that is no tag or keyword')
  return indexedAttribute(name)?.tag ?? name
}

/** UIDs are listed with commas (PS3.18 8.3.4.1); codes are, by viewers. */
function lists(name: string, value: string): string {
  const vr = indexedAttribute(name)?.vr
  return vr === 'UI' || vr === 'CS' ? value.replaceAll(',', '\\') : value
}

function wholeNumber(name: string, value: string): number {
  if (!/^\d{1,7}$/.test(value)) throw new RaylogError('bad-request', `${name} is a whole number from 0`)
  return Number(value)
}

/** What a client takes (RFC 9110 12.5.1; PS3.18 8.7.4): media types, those of the parts, and transfer syntaxes. */
import type { FastifyRequest } from 'fastify'
import { RaylogError } from '../../schemas/errors.ts'

export interface Accepted {
  /** In lower case; with `*` for any. */
  type: string
  /** Of the parts of multipart/related; undefined: any. */
  parts: string | undefined
  /** A UID, or `*`; undefined: not said. */
  transferSyntax: string | undefined
  quality: number
}

const mostTypes = 50

/** The best first. The query parameter `accept` stands for the header where there is one (PS3.18 8.3.3.1). */
export function acceptedBy(request: FastifyRequest): Accepted[] {
  const query = new URLSearchParams(request.url.split('?').slice(1).join('?'))
  return parseAccept(query.get('accept') ?? request.headers.accept)
}

export function parseAccept(header: string | undefined): Accepted[] {
  if (header === undefined || header.trim() === '') return parseAccept('*/*')
  return splitOutside(header, ',')
    .slice(0, mostTypes)
    .flatMap(entry => {
      const [type = '', ...rest] = splitOutside(entry, ';').map(part => part.trim())
      if (!/^[\w!#$&^.+*-]+\/[\w!#$&^.+*-]+$/.test(type)) return []
      const parameters = new Map(rest.map(parameter))
      const quality = Number(parameters.get('q') ?? 1)
      return [
        {
          type: type.toLowerCase(),
          parts: parameters.get('type')?.toLowerCase(),
          transferSyntax: parameters.get('transfer-syntax'),
          quality: Number.isFinite(quality) ? quality : 0,
        },
      ]
    })
    .filter(({ quality }) => quality > 0)
    .toSorted((a, b) => b.quality - a.quality)
}

function parameter(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 0) return [text.toLowerCase(), '']
  const value = text.slice(at + 1).trim()
  const plain = value.startsWith('"') ? value.slice(1).replace(/"$/, '').replaceAll(/\\(.)/g, '$1') : value
  return [text.slice(0, at).trim().toLowerCase(), plain]
}

/** At a separator that stands in no quoted text. */
export function splitOutside(text: string, separator: string): string[] {
  const parts: string[] = []
  let quoted = false
  let from = 0
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '\\' && quoted) at++
    else if (text[at] === '"') quoted = !quoted
    else if (text[at] === separator && !quoted) {
      parts.push(text.slice(from, at))
      from = at + 1
    }
  }
  return [...parts, text.slice(from)]
}

/** Whether a media type is one that is taken: `image/*` takes `image/png`. */
export const takes = (pattern: string | undefined, type: string): boolean =>
  pattern === undefined || pattern === '*/*' || pattern === type || pattern === `${type.split('/')[0]}/*`

/** @throws RaylogError not-acceptable, saying what there is */
export function refuse(offered: string): never {
  throw new RaylogError('not-acceptable', `Nothing that the request accepts can be given here; there is ${offered}.`)
}

/** @throws RaylogError not-acceptable */
export function requireJson(request: FastifyRequest): void {
  const json = acceptedBy(request).some(
    ({ type }) => takes(type, 'application/dicom+json') || takes(type, 'application/json'),
  )
  if (!json) refuse('application/dicom+json')
}

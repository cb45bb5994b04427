/** HTTP to the gateway, with the cookie that opening the page's address with its token has set. */
import { isObject } from './shape.ts'
import type { ProblemDetails } from './types.ts'

export const base = '/api/v1'

/** An answer that is not a success, with what to do about it. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly details: ProblemDetails
  constructor(details: ProblemDetails) {
    super(details.detail || details.title)
    this.details = details
  }
}

/** Whatever was thrown, as something that a person can act on. */
export function toProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown
  if (thrown instanceof TypeError) {
    return new Problem({
      title: 'Raylog does not answer',
      status: 0,
      detail: 'No connection to the server.',
      code: 'no-connection',
      remedy: 'See whether Raylog is running; this page connects again by itself.',
    })
  }
  return new Problem({
    title: 'Something is wrong with this page',
    status: 0,
    detail: thrown instanceof Error ? thrown.message : String(thrown),
    code: 'page',
    remedy: 'Load the page again. If it stays, report it with the text above.',
  })
}

export function problemFrom(status: number, statusText: string, body: unknown): Problem {
  const fields = isObject(body) ? body : {}
  const text = (name: string, otherwise: string) => {
    const value = fields[name]
    return typeof value === 'string' && value !== '' ? value : otherwise
  }
  return new Problem({
    title: text('title', statusText || `HTTP ${status}`),
    status,
    detail: text('detail', ''),
    code: text('code', String(status)),
    remedy: text(
      'remedy',
      status === 401 || status === 403 ? 'Open the address that "raylog start" printed; it holds the token.' : '',
    ),
  })
}

async function bodyOf(response: Response): Promise<unknown> {
  const text = await response.text()
  if (text === '') return null
  try {
    return JSON.parse(text)
  } catch {
    return null // not JSON: the status says what there is to say
  }
}

async function send<T>(path: string, init: RequestInit, parse: (value: unknown) => T): Promise<T> {
  const response = await fetch(base + path, { credentials: 'same-origin', ...init })
  const body = await bodyOf(response)
  if (!response.ok) throw problemFrom(response.status, response.statusText, body)
  return parse(body)
}

/** @throws Problem, or TypeError when nothing answers */
export function get<T>(path: string, parse: (value: unknown) => T, signal?: AbortSignal): Promise<T> {
  return send(path, { headers: { accept: 'application/json' }, ...(signal ? { signal } : {}) }, parse)
}

export function post<T>(path: string, body: FormData | null, parse: (value: unknown) => T, signal?: AbortSignal) {
  return send(path, { method: 'POST', body, ...(signal ? { signal } : {}) }, parse)
}

export function postJson<T>(
  path: string,
  body: object,
  parse: (value: unknown) => T,
  signal?: AbortSignal,
): Promise<T> {
  const headers = { 'content-type': 'application/json' }
  return send(path, { method: 'POST', headers, body: JSON.stringify(body), ...(signal ? { signal } : {}) }, parse)
}

export function remove<T>(path: string, parse: (value: unknown) => T): Promise<T> {
  return send(path, { method: 'DELETE', headers: { accept: 'application/json' } }, parse)
}

export const nothing = (): void => undefined

export interface PreviewOptions {
  /** Longest side, pixels. */
  size: number
  frame?: number
  window?: { center: number; width: number }
}

/** Address of the windowed picture of an instance, PNG. */
export function previewUrl(id: string, { size, frame, window }: PreviewOptions): string {
  const query = new URLSearchParams({ size: String(size) })
  if (frame !== undefined && frame > 1) query.set('frame', String(frame))
  if (window) {
    query.set('center', String(window.center))
    query.set('width', String(window.width))
  }
  return `${base}/instances/${encodeURIComponent(id)}/preview?${query}`
}

export const objectUrl = (id: string) => `${base}/instances/${encodeURIComponent(id)}/object`
export const explanationUrl = (id: string) => `${base}/predictions/${encodeURIComponent(id)}/explanation`
export const reportUrl = (id: string) => `${base}/reports/${encodeURIComponent(id)}/object`

/**
 * Sends one file with its progress (fetch has none for uploads).
 * @throws Problem
 */
export function upload<T>(
  path: string,
  form: FormData,
  parse: (value: unknown) => T,
  onProgress: (share: number) => void,
  signal?: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', base + path)
    request.responseType = 'text'
    request.upload.onprogress = event => {
      if (event.lengthComputable && event.total > 0) onProgress(event.loaded / event.total)
    }
    request.onerror = () => reject(toProblem(new TypeError('no connection')))
    request.onabort = () => reject(signal?.reason ?? new Error('aborted'))
    request.onload = () => {
      let body: unknown = null
      try {
        body = JSON.parse(request.responseText)
        // Where every file was refused the status says so too, and the body still names each with its reason.
        const listed = isObject(body) && Array.isArray(body.items)
        if (listed || (request.status >= 200 && request.status < 300)) return resolve(parse(body))
      } catch (error) {
        if (request.status < 400) return reject(toProblem(error))
      }
      reject(problemFrom(request.status, request.statusText, body))
    }
    signal?.addEventListener('abort', () => request.abort(), { once: true })
    request.send(form)
  })
}

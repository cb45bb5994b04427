/** Sends files to a Raylog, or to any DICOM node: what `raylog send` does. */
import { openAsBlob } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { inParallel } from './bytes.ts'
import { type DicomTarget, storeFile } from './store-scu.ts'

export interface HttpTarget {
  /** Such as http://127.0.0.1:8080; the files go to api/v1/instances there. */
  url: string
  token: string
}

export interface SendTarget {
  /** DICOM files go here, by C-STORE. */
  dicom?: DicomTarget
  /** Everything else goes here; DICOM too where there is no `dicom`. */
  http?: HttpTarget
}

export interface SendOutcome {
  path: string
  ok: boolean
  /** What became of it, in words: the id, the status, or why not. */
  text: string
  /** Attempts that it took. */
  attempts: number
}

export interface SendOptions {
  /** Ask for this model; over HTTP alone. */
  model?: string
  /** Attempts after the first while the receiver is out of resources (0xA7xx, HTTP 503, 507). */
  retries?: number
  /** Before the second attempt, doubled each time, ms. */
  backoffMs?: number
  /** Files, or associations, at once. */
  concurrency?: number
  onFile?: (outcome: SendOutcome, done: number, total: number) => void
  signal?: AbortSignal
}

export interface Sent {
  sent: number
  failed: number
}

/** Regular files of the paths, folders with all below them; hidden ones only where they are named. */
async function filesOf(paths: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const path of paths) {
    if (!(await stat(path)).isDirectory()) found.push(path)
    else {
      for (const entry of await readdir(path, { recursive: true, withFileTypes: true }))
        if (entry.isFile() && !entry.name.startsWith('.')) found.push(join(entry.parentPath, entry.name))
    }
  }
  return found.sort()
}

/** Whether it is a Part 10 file (PS3.10 7.1). */
async function isPart10(path: string): Promise<boolean> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(132), 0, 132, 0)
    return bytesRead === 132 && buffer.toString('latin1', 128) === 'DICM'
  } finally {
    await file.close()
  }
}

const answer = z.object({
  items: z.array(
    z.union([z.object({ id: z.string() }), z.object({ error: z.object({ title: z.string(), detail: z.string() }) })]),
  ),
})
const problem = z.object({ title: z.string(), detail: z.string() })

async function upload(path: string, { url, token }: HttpTarget, options: SendOptions): Promise<Attempt> {
  const form = new FormData()
  if (options.model) form.set('model', options.model)
  form.set('file', await openAsBlob(path), basename(path))
  const response = await fetch(new URL('api/v1/instances', url.endsWith('/') ? url : `${url}/`), {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: form,
    signal: options.signal ?? null,
  })
  const body: unknown = await response.json().catch(() => undefined)
  const said = answer.safeParse(body)
  if (said.success) {
    const texts = said.data.items.map(item => ('id' in item ? item.id : `${item.error.title}: ${item.error.detail}`))
    return { ok: said.data.items.every(item => 'id' in item), again: false, text: texts.join(', ') }
  }
  const told = problem.safeParse(body)
  const text = told.success ? `${told.data.title}: ${told.data.detail}` : `HTTP ${response.status}`
  return { ok: false, again: response.status === 503 || response.status === 507, text }
}

export interface Attempt {
  ok: boolean
  /** Whether it may pass by itself. */
  again: boolean
  text: string
}

/** Tries until it is sent, is refused for good, or the retries are used up. */
async function insist(path: string, options: SendOptions, attempt: () => Promise<Attempt>): Promise<SendOutcome> {
  const { retries = 5, backoffMs = 1_000, signal } = options
  for (let attempts = 1; ; attempts++) {
    const { ok, again, text } = await attempt().catch(
      (thrown): Attempt => ({
        ok: false,
        again: true,
        text: thrown instanceof Error ? reasonOf(thrown) : String(thrown),
      }),
    )
    if (ok || !again || attempts > retries || signal?.aborted) return { path, ok, text, attempts }
    await sleep(Math.min(30_000, backoffMs * 2 ** (attempts - 1)), undefined, signal ? { signal } : {})
  }
}

/** `fetch failed` says little; its cause says what. */
const reasonOf = (error: Error): string => (error.cause instanceof Error ? error.cause.message : error.message)

async function sendOne(path: string, target: SendTarget, options: SendOptions): Promise<SendOutcome> {
  const { dicom, http } = target
  const asDicom = await isPart10(path).catch((thrown: Error) => thrown)
  if (asDicom instanceof Error) return { path, ok: false, text: asDicom.message, attempts: 0 }
  if (dicom && asDicom) return insist(path, options, () => storeFile(path, dicom))
  if (http) return insist(path, options, () => upload(path, http, options))
  return { path, ok: false, text: 'not a DICOM file: send it to a URL', attempts: 0 }
}

/**
 * Sends every file of the paths, and says what became of each. A file that fails does not stop the others.
 * @throws where a path does not exist
 */
export async function sendFolder(
  paths: readonly string[],
  target: SendTarget,
  options: SendOptions = {},
): Promise<Sent> {
  const files = await filesOf(paths)
  const counts = { sent: 0, failed: 0 }
  const outcomes = inParallel(files, options.concurrency ?? 4, path => sendOne(path, target, options))
  for await (const outcome of outcomes) {
    if (outcome.ok) counts.sent++
    else counts.failed++
    options.onFile?.(outcome, counts.sent + counts.failed, files.length)
  }
  return counts
}

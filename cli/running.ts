/** How the other commands reach the Raylog that runs on a data folder. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { isErrorCode, RaylogError } from '../schemas/errors.ts'
import { CallError } from './call-error.ts'
import { platformSettings, type SettingSources } from './settings.ts'

/** Written by `start` into the data folder, gone when it stops in order. */
export const runningFile = 'running.json'

const running = z.object({ url: z.string(), pid: z.int() })
const problem = z.object({
  code: z.string().refine(isErrorCode).catch('bad-request'),
  title: z.string(),
  detail: z.string().optional(),
})

export interface Api {
  readonly url: string
  readonly token: string
  /** Asks, and reads the answer by its schema. @throws RaylogError with the problem's own code and words */
  call<T>(method: 'GET' | 'POST', path: string, answer: z.ZodType<T>, body?: unknown): Promise<T>
  /** The answer as it is, for what is not JSON. */
  text(path: string): Promise<string>
}

/** @throws CallError when none runs there */
export function connect(sources: SettingSources): Api {
  const { data, http, secrets } = platformSettings(sources)
  const file = join(data, runningFile)
  if (!existsSync(file))
    throw new CallError(`No Raylog runs on ${data}.`, 'Start one with "npm start", or name its folder with --data.')
  const { url } = running.parse(JSON.parse(readFileSync(file, 'utf8')))
  const token = http.token ?? readFileSync(join(secrets.folder ?? data, 'token'), 'utf8').trim()
  const headers = { authorization: `Bearer ${token}` }
  async function ask(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(new URL(path, url), init)
    } catch (cause) {
      throw new CallError(
        `The Raylog at ${url} does not answer: it was killed, or is very busy.`,
        'Start it again with "npm start"; what it had received is still there.',
        { cause },
      )
    }
  }
  function refused(body: unknown): RaylogError {
    const { code, title, detail } = problem.parse(body)
    return new RaylogError(code, detail ?? title)
  }
  return {
    url,
    token,
    async call(method, path, answer, body) {
      const json = { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) }
      const response = await ask(path, { method, ...(body === undefined ? { headers } : json) })
      const said: unknown = await response.json()
      if (response.ok) return answer.parse(said)
      throw refused(said)
    },
    async text(path) {
      const response = await ask(path, { headers })
      if (response.ok) return await response.text()
      throw refused(await response.json())
    },
  }
}

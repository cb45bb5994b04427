/** How the other commands reach the Raylog that runs on a data folder. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { platformConfig } from '../schemas/config.ts'
import { RaylogError } from '../schemas/errors.ts'
import { readSettings, type SettingSources } from './settings.ts'

/** Written by `start` into the data folder, gone when it stops in order. */
export const runningFile = 'running.json'

const running = z.object({ url: z.string(), pid: z.int() })
const problem = z.object({
  code: z.string().optional(),
  title: z.string(),
  detail: z.string().optional(),
  remedy: z.string().optional(),
})

export interface Api {
  readonly url: string
  readonly token: string
  /** Asks, and reads the answer by its schema. @throws Error with the problem's own words */
  call<T>(method: 'GET' | 'POST', path: string, answer: z.ZodType<T>): Promise<T>
}

/** @throws RaylogError store-unavailable when none runs there */
export function connect(sources: SettingSources): Api {
  const { data, http } = platformConfig.strip().parse(readSettings(sources))
  const file = join(data, runningFile)
  if (!existsSync(file))
    throw new RaylogError(
      'store-unavailable',
      `no Raylog runs on ${data}; start one with "npm start", or name its folder with --data`,
    )
  const { url } = running.parse(JSON.parse(readFileSync(file, 'utf8')))
  const token = http.token ?? readFileSync(join(data, 'token'), 'utf8').trim()
  return {
    url,
    token,
    async call(method, path, answer) {
      let response: Response
      try {
        response = await fetch(new URL(path, url), { method, headers: { authorization: `Bearer ${token}` } })
      } catch (cause) {
        throw new RaylogError('store-unavailable', `the Raylog at ${url} does not answer; it may have been killed`, {
          cause,
        })
      }
      const body: unknown = await response.json()
      if (response.ok || response.status === 503) return answer.parse(body)
      const { title, detail } = problem.parse(body)
      throw new RaylogError(response.status === 404 ? 'not-found' : 'bad-request', `${title}: ${detail ?? ''}`)
    },
  }
}

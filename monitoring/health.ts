/** Health by part: each registers a check that resolves, or throws with the reason. */
import { toRaylogError } from '../schemas/errors.ts'

export interface PartHealth {
  part: string
  ok: boolean
  code: string | null
  reason: string | null
  remedy: string | null
}

export interface Health {
  /** @returns a function that removes the part */
  register(part: string, check: () => Promise<void> | void): () => void
  /** Every part, checked now; a check that takes longer than `timeoutMs` counts as failed. */
  report(timeoutMs?: number): Promise<{ ok: boolean; parts: PartHealth[] }>
}

export function createHealth(): Health {
  const checks = new Map<string, () => Promise<void> | void>()
  async function one(part: string, check: () => Promise<void> | void, timeoutMs: number): Promise<PartHealth> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    })
    try {
      await Promise.race([Promise.resolve().then(check), late])
      return { part, ok: true, code: null, reason: null, remedy: null }
    } catch (thrown) {
      const error = toRaylogError(thrown)
      return { part, ok: false, code: error.code, reason: error.message, remedy: error.entry.remedy }
    } finally {
      clearTimeout(timer)
    }
  }
  return {
    register(part, check) {
      checks.set(part, check)
      return () => {
        checks.delete(part)
      }
    },
    async report(timeoutMs = 2_000) {
      const parts = await Promise.all([...checks].map(([part, check]) => one(part, check, timeoutMs)))
      return { ok: parts.every(part => part.ok), parts }
    },
  }
}

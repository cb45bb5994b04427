import { setTimeout as wait } from 'node:timers/promises'

/** Waits for a condition, not for a time. @throws after `deadlineMs`, saying what was waited for, and the last error */
export async function until<T>(
  what: string,
  condition: () => Promise<T> | T,
  { deadlineMs = 60_000, everyMs = 20 }: { deadlineMs?: number; everyMs?: number } = {},
): Promise<NonNullable<T>> {
  const deadline = Date.now() + deadlineMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (Date.now() > deadline) throw new Error(`waited ${deadlineMs} ms for: ${what}`)
    await wait(everyMs)
  }
}

import { RaylogError } from '../../schemas/errors.ts'

/**
 * `count` slots, first come first served, with at most `maxWaiting` waiting for one.
 * `take` gives a function that gives the slot back. @throws RaylogError busy, stopping
 */
export function createSlots(count: number, maxWaiting: number) {
  let free = count
  const waiting: { give(): void; refuse(error: RaylogError): void }[] = []
  let closed = false

  function release(): void {
    const next = waiting.shift()
    if (next === undefined) free++
    else next.give()
  }

  return {
    async take(): Promise<() => void> {
      if (closed) throw new RaylogError('stopping', 'previews are closed')
      if (free > 0) free--
      else if (waiting.length >= maxWaiting) throw new RaylogError('busy', `${maxWaiting} previews wait already`)
      else await new Promise<void>((give, refuse) => waiting.push({ give, refuse }))
      return release
    },
    close(): void {
      closed = true
      for (const { refuse } of waiting.splice(0)) refuse(new RaylogError('stopping', 'previews are closed'))
    },
  }
}

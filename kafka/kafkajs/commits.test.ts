import { describe, expect, it } from 'vitest'
import { systemClock } from '../../monitoring/clock.ts'
import type { Position } from '../log.ts'
import { createCommits } from './commits.ts'

const at = (partition: number, offset: number): Position => ({ topic: 't', partition, offset })

function setUp(send: (next: readonly Position[]) => Promise<boolean>) {
  const over = new AbortController()
  let lost = 0
  const commits = createCommits({ send, lost: () => void lost++, signal: over.signal, clock: systemClock })
  return { commits, over, lost: () => lost }
}

describe('commits of a member', () => {
  it('go one after the other, with the newest of what came meanwhile', async () => {
    const sent: (readonly Position[])[] = []
    const gate = Promise.withResolvers<void>()
    const { commits } = setUp(async next => {
      sent.push(next)
      if (sent.length === 1) await gate.promise
      return true
    })
    const first = commits.commit([at(0, 1)])
    await Promise.resolve()
    const rest = [commits.commit([at(0, 2)]), commits.commit([at(1, 7)]), commits.commit([at(0, 3)])]
    gate.resolve()
    await Promise.all([first, ...rest])
    expect(sent).toEqual([[at(0, 1)], [at(0, 3), at(1, 7)]])
  })

  it('are left out, without an error, once the partitions are let go', async () => {
    const { commits, over } = setUp(() => Promise.reject(new Error('must not be sent')))
    over.abort()
    await commits.commit([at(0, 1)])
  })

  it('that the coordinator refuses tell that the partitions are lost, and are no error', async () => {
    const { commits, lost } = setUp(async () => false)
    await commits.commit([at(0, 1)])
    expect(lost()).toBe(1)
  })

  it('that fail for good are told as an error, and the next is tried', async () => {
    let attempts = 0
    const { commits } = setUp(async () => {
      if (attempts++ === 0) throw new Error('no')
      return true
    })
    await expect(commits.commit([at(0, 1)])).rejects.toMatchObject({ code: 'log-unavailable' })
    await commits.commit([at(0, 2)])
    expect(attempts).toBe(2)
  })
})

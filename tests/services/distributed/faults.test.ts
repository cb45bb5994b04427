import { expect, it, vi } from 'vitest'
import type { Raylog } from '../../harness/raylog.ts'
import { until } from '../../harness/until.ts'
import { watchOver } from './faults.ts'

it('what ends by itself is told of and started again; what is put away is neither', async () => {
  const said = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  let starts = 0
  const raylog = {
    alive: false,
    logs: () => 'out of memory',
    async restart() {
      starts++
      this.alive = true
    },
  }
  const watch = watchOver({ report: raylog as unknown as Raylog })
  await until('it runs again', () => starts === 1)
  const told = ['report: out of memory']
  expect(watch.endedAlone).toEqual(told)
  const ended = watch.end()
  raylog.alive = false
  await ended
  expect([watch.endedAlone, starts, said.mock.calls.length]).toEqual([told, 1, 1])
  said.mockRestore()
})

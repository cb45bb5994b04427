import { describe, expect, it, vi } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'
import { audit, feedback, probesPerTest, stageOf } from '../../tests/harness/probes.ts'

const on = probesPerTest()
const { start, append, all, lagIsZero, parkedEvents } = on

const names = (these: { event: { id: string } }[]) => these.map(({ event }) => event.id).join(' ')

/** Four events of one key, of which the first is held until the others wait; and what was handled, in turns. */
async function fourOfOneKey(many: (turn: string) => Promise<void>, alone: (id: string) => void = () => undefined) {
  const turns: string[] = []
  const release = Promise.withResolvers<void>()
  await append(...[1, 2, 3, 4].map(n => feedback(n, 'one')), feedback(5, 'other'))
  await start(
    stageOf(
      async (event, { emit }) => {
        turns.push(event.id)
        if (event.id === 'fb_1') await release.promise
        alone(event.id)
        emit(topics.audit, audit(event.id))
      },
      {
        async many(these) {
          turns.push(names(these))
          await many(names(these))
          for (const { event, context } of these) context.emit(topics.audit, audit(event.id))
        },
      },
    ),
  )
  await vi.waitFor(() => expect(turns).toEqual(['fb_1', 'fb_5']), 10_000)
  release.resolve()
  return turns
}

const said = async () => (await all(topics.audit)).map(({ id }) => id)

describe('a stage that takes what waits together', () => {
  it('is handed in one turn what waited for its key, in order; what each emits is on the log, and all are committed', async () => {
    const turns = await fourOfOneKey(async () => undefined)
    await lagIsZero()
    expect(turns).toEqual(['fb_1', 'fb_5', 'fb_2 fb_3 fb_4'])
    expect((await said()).toSorted()).toEqual(['fb_1', 'fb_2', 'fb_3', 'fb_4', 'fb_5'])
  })

  it('is handed each alone where that fails: the one whose fault it is is parked, its neighbours are done, once each', async () => {
    const refuse = () => {
      throw new RaylogError('decode-failed', 'not this one')
    }
    const turns = await fourOfOneKey(
      async turn => (turn.includes('fb_3') ? refuse() : undefined),
      id => (id === 'fb_3' ? refuse() : undefined),
    )
    await lagIsZero()
    expect(turns).toEqual(['fb_1', 'fb_5', 'fb_2 fb_3 fb_4', 'fb_2', 'fb_3', 'fb_4'])
    expect(await parkedEvents()).toMatchObject([{ subject: 'fb_3', code: 'decode-failed' }])
    expect((await said()).toSorted()).toEqual(['fb_1', 'fb_2', 'fb_4', 'fb_5'])
  })

  it('commits none of a turn that was cut off: all of it is read again', async () => {
    const begun = Promise.withResolvers<void>()
    const never = Promise.withResolvers<void>()
    await fourOfOneKey(() => {
      begun.resolve()
      return never.promise
    })
    await begun.promise
    await on.running?.stop()
    on.running = undefined
    never.resolve()
    expect(await said()).not.toContain('fb_2')
    const again: string[] = []
    await start(stageOf(event => void again.push(event.id)))
    await lagIsZero()
    expect(again.filter(id => id !== 'fb_5')).toEqual(['fb_2', 'fb_3', 'fb_4'])
  })
})

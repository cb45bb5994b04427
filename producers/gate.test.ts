import { expect, it } from 'vitest'
import { createFairGate } from './gate.ts'

const shortMs = 5

it('gives no one all places, whoever waits', async () => {
  const gate = createFairGate(4, 2)
  await gate.enter('slow', shortMs)
  await gate.enter('slow', shortMs)
  await expect(gate.enter('slow', shortMs)).rejects.toMatchObject({ code: 'busy' })
  const leave = await gate.enter('other', shortMs)
  await gate.enter('other', shortMs)
  await expect(gate.enter('third', shortMs)).rejects.toMatchObject({ code: 'busy' })
  leave()
  await gate.enter('third', shortMs)
  expect(gate.inside).toBe(4)
})

it('counts those who came since, though one leaves twice', async () => {
  const gate = createFairGate(4, 2)
  const leave = await gate.enter('slow', shortMs)
  leave()
  const places = [await gate.enter('slow', shortMs), await gate.enter('slow', shortMs)]
  leave()
  await expect(gate.enter('slow', shortMs)).rejects.toMatchObject({ code: 'busy' })
  for (const each of places) each()
  expect(gate.inside).toBe(0)
  expect(typeof (await gate.enter('slow', shortMs))).toBe('function')
})

it('keeps no place for one who gave up', async () => {
  const gate = createFairGate(1, 1)
  const gone = AbortSignal.abort(new Error('gone'))
  await expect(gate.enter('slow', shortMs, gone)).rejects.toThrow('gone')
  await gate.enter('other', shortMs)
  await expect(gate.enter('slow', shortMs)).rejects.toMatchObject({ code: 'busy' })
  expect(gate.inside).toBe(1)
})

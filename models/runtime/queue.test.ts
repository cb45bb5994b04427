import { expect, it } from 'vitest'
import type { Priority } from '../../schemas/topics.ts'
import { type Item, WorkQueue } from './queue.ts'

const item = (priority: Priority, arrivedAt: number, model = 0): Item => ({
  model,
  work: { from: { path: 'x' }, sha256: '', frame: 1, explain: false },
  priority,
  arrivedAt,
  deaths: 0,
  settled: false,
  resolve: () => undefined,
  reject: () => undefined,
})

function queueOf(...items: Item[]) {
  const queue = new WorkQueue()
  for (const one of items) queue.add(one)
  return queue
}

it('takes stat before urgent before routine, and each in the order of arrival', () => {
  const [a, b, c, d] = [item('routine', 1), item('urgent', 2), item('stat', 3), item('routine', 0)]
  expect(queueOf(a, b, c, d).take(0, 9)).toEqual([c, b, a, d])
})

it('takes routine work that has waited a minute before stat work that has just come', () => {
  const old = item('routine', 0)
  const [early, late] = [item('stat', 59_999), item('stat', 60_001)]
  expect(queueOf(old, early, late).take(0, 9)).toEqual([early, old, late])
})

it('puts the model first whose work is due first', () => {
  const queue = queueOf(item('routine', 0, 0), item('routine', 5, 0), item('urgent', 1, 1))
  expect(queue.waiting().map(({ model, count, oldestAt, stat }) => [model, count, oldestAt, stat])).toEqual([
    [1, 1, 1, false],
    [0, 2, 0, false],
  ])
})

it('puts work back before what came after it', () => {
  const [a, b, c] = [item('routine', 1), item('routine', 2), item('routine', 3)]
  const queue = queueOf(a, b, c)
  queue.putBack(queue.take(0, 2))
  expect(queue.take(0, 3)).toEqual([a, b, c])
})

it('forgets what is removed', () => {
  const [a, b] = [item('routine', 1), item('stat', 2)]
  const queue = queueOf(a, b)
  queue.remove(b)
  expect(queue.size).toBe(1)
  expect(queue.take(0, 2)).toEqual([a])
  expect(queue.waiting()).toEqual([])
})

/** Dashboards of the gateway's tests, and how to break their connections. */
import { expect, vi } from 'vitest'
import type { At } from '../../gateway/live/messages.ts'
import type { Client } from './kit.ts'

export const until = (condition: () => boolean) =>
  vi.waitFor(() => expect(condition()).toBe(true), { timeout: 20_000, interval: 5 })
export const happens = (socket: Client, name: 'connect' | 'connect_error' | 'disconnect' | 'bye') =>
  new Promise<unknown>(resolve => socket.once(name, resolve))

/** A dashboard as the page is one: keeps the highest offset of each partition and joins from there at each connect. */
export function watch(socket: Client, rooms: string[] = ['all']) {
  const seen: At[] = []
  const names: string[] = []
  const at: Record<string, number> = {}
  const truncated: boolean[] = []
  const take = (name: string) => (message: { at: At }) => {
    seen.push(message.at)
    names.push(name)
    at[`${message.at.topic}:${message.at.partition}`] = message.at.offset
  }
  socket.on('instance', take('instance')).on('prediction', take('prediction')).on('report', take('report'))
  const first = Promise.withResolvers<void>()
  let joins = 0
  let breaks = 0
  socket.on('disconnect', () => breaks++)
  socket.on('connect', () => {
    socket.emit('join', { rooms, after: { ...at } }, told => {
      if (!told.ok) return first.reject(new Error(told.detail))
      for (const [partition, offset] of Object.entries(told.at)) at[partition] = Math.max(at[partition] ?? -1, offset)
      joins++
      truncated.push(told.truncated)
      first.resolve()
    })
  })
  return { seen, names, at, truncated, ready: first.promise, joins: () => joins, breaks: () => breaks }
}

/** The websocket under a client, which socket.io does not show. */
export const wire = (socket: Client) => Reflect.get(Object(socket.io.engine?.transport), 'ws')
export const cut = (socket: Client) => wire(socket).terminate()

export const byPartition = (seen: readonly At[]) =>
  Object.fromEntries(
    [...Map.groupBy(seen, ({ topic, partition }) => `${topic}:${partition}`)].map(([key, all]) => [
      key,
      all.map(({ offset }) => offset),
    ]),
  )

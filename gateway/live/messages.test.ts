/** What gateway/API.md says of the sockets, against the code. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { joinRequest, rooms } from './messages.ts'

const read = (file: string) => readFileSync(join(import.meta.dirname, file), 'utf8')
const page = read('../API.md')
const table = [...page.matchAll(/^\| `(\w+)` \| (?:.*) \| (.*) \|$/gm)]

it('names each event that the server sends, and no other', () => {
  // A type has no list of its own to ask.
  const [, declared = ''] = /interface ServerToClient \{([^}]*)\}/.exec(read('messages.ts')) ?? []
  const events = [...declared.matchAll(/^ {2}(\w+): \(/gm)].map(([, event]) => event)
  expect(events).toContain('prediction')
  expect(table.map(([, event]) => event).toSorted()).toEqual(events.toSorted())
})

it('names each room that may be joined, and no other', () => {
  const [, listed = ''] = /^- rooms: (.*?)\. /m.exec(page) ?? []
  const named = [...listed.matchAll(/`([^`]+)`/g)].flatMap(([, room]) => room ?? [])
  const kinds = [...rooms.alone, ...rooms.of.map(kind => `${kind}:`)]
  expect(named.map(room => room.replace(/[A-Z]+$/, ''))).toEqual(expect.arrayContaining(kinds))
  expect(named).toHaveLength(kinds.length)
  const ofEvents = table.flatMap(([, , text = '']) => [...text.matchAll(/`([^`]+)`/g)].map(([, room]) => room))
  expect([...new Set(ofEvents)].toSorted()).toEqual(kinds.toSorted())
  for (const room of named) expect(joinRequest.safeParse({ rooms: [room] }).success, room).toBe(true)
  for (const room of ['allx', 'x:1', 'study:', 'all:1', 'study:a b'])
    expect(joinRequest.safeParse({ rooms: [room] }).success, room).toBe(false)
})

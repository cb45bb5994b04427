import { expect, it } from 'vitest'
import { askedOf } from './asked.ts'

const asked = (query: string) => askedOf(new URLSearchParams(query))
const from = Date.UTC(2026, 0, 1)
const iso = new Date(from).toISOString()

it('asks for a study by its id, or the address of its page, wherever its reports went', () => {
  expect(asked('again=study&study=st_1')).toEqual({ studies: ['st_1'], unsent: false })
  expect(asked('again=study&study=https://h.example/worklist/st_1f?image=in_2')).toEqual({
    ...{ studies: ['st_1f'], unsent: false },
  })
  // What was chosen of a time before does not narrow it.
  expect(asked(`again=study&study=st_1&from=${iso}`)).toEqual({ studies: ['st_1'], unsent: false })
})

it('asks for a time that has a beginning, an end, or both', () => {
  expect(asked(`again=time&from=${iso}`)).toEqual({ from, unsent: false })
  expect(asked(`again=time&to=${iso}&study=st_1`)).toEqual({ to: from, unsent: false })
})

it('asks for nothing before 1970, which no server has: so begins each year that is typed', () => {
  expect(asked('again=time&from=0002-01-01T00:00:00.000Z&to=0020-01-01T00:00:00.000Z')).toEqual({
    ...{ from: 0, to: 0, unsent: false },
  })
})

it('asks for nothing while nothing is chosen, since that would be everything', () => {
  for (const query of [
    'again=study',
    'again=study&study=the+one+of+monday',
    'again=study&study=Ernest_Miller',
    'again=time',
    'again=time&from=soon',
  ])
    expect(asked(query)).toBeNull()
})

it('sends what never went to a destination only where one is named, of any state, and that is asked for', () => {
  const time = `again=time&from=${iso}`
  expect(asked(`${time}&destination=a&destination=b&unsent=1`)).toEqual({ from, destination: ['a', 'b'], unsent: true })
  expect(asked(`${time}&destination=a`)).toEqual({ from, destination: ['a'], unsent: false })
  expect(asked(`${time}&unsent=1`)).toEqual({ from, unsent: false })
  expect(asked(`${time}&destination=a&which=refused&unsent=1`)).toEqual({ from, destination: ['a'], state: 'refused' })
})

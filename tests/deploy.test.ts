/** Every stage runs somewhere: in the containers, in the processes that the guide names, and in those of the services tests. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { allStages } from '../cli/stages.ts'
import { apart, usualGroups } from './services/distributed/processes.ts'

const root = resolve(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
/** The simulator is for demonstrations. */
const stages = allStages.map(({ name }) => name).filter(name => name !== 'simulator')
const sorted = (names: readonly string[]) => names.toSorted()
const composeFile = z.object({ services: z.record(z.string(), z.object({ command: z.unknown().optional() })) })

describe('every stage', () => {
  it('is in one container of docker-compose.yml', () => {
    const { services } = composeFile.parse(parse(read('docker-compose.yml'), { merge: true }))
    const commands = Object.values(services).map(({ command }) => z.array(z.string()).safeParse(command).data ?? [])
    const named = commands.flatMap(words => (words.includes('--stages') ? (words.at(-1)?.split(',') ?? []) : []))
    expect(sorted(named)).toEqual(sorted(stages))
  })

  it('is in one process of those that the guide starts', () => {
    const started = [...read('docs/distributed.md').matchAll(/^raylog start --stages (\S+)/gm)]
    expect(sorted(started.flatMap(([, names = '']) => names.split(',')))).toEqual(sorted(stages))
  })

  it('is in the processes of the tests on real servers, but for those that have tests of their own', () => {
    const usual: readonly string[] = Object.values(usualGroups).flat()
    expect(sorted([...usual, 'replay'])).toEqual(sorted(stages))
    const all: readonly string[] = Object.values(apart).flat()
    expect(sorted([...all, 'replay', 'dicomweb'])).toEqual(sorted(stages))
  })
})

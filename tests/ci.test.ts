/** `.ci/run` runs no test again whose failure may be the one in a thousand that it looks for. */
import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const script = read('.ci/run')
const once =
  script
    .match(/^once=\(\n([\s\S]*?)^\)$/m)?.[1]
    ?.trim()
    .split(/\s+/) ?? []

/** These end tools of others when they are done with them; nothing of ours is killed. */
const tidyUp = [
  'consumers/syslog/rsyslog.slow.test.ts',
  'processors/expect-images/orthanc.slow.test.ts',
  'producers/dimse/tls.slow.test.ts',
  'producers/retrieve/pynetdicom.slow.test.ts',
  'tests/dicomweb/orthanc.slow.test.ts',
  'tests/peers/node.slow.test.ts',
  'tests/peers/shared.slow.test.ts',
  'tests/peers/transcode.slow.test.ts',
]

it('gives no second chance to a file that kills, but for those that only tidy up', () => {
  const files = globSync('**/*.{slow,services}.test.ts', { cwd: root, exclude: ['node_modules/**', 'web/dist/**'] })
  const kill = files.filter(file => /SIGKILL|\.kill\(|killed|killAtRandom/.test(read(file)) && !tidyUp.includes(file))
  expect(kill.length).toBeGreaterThan(15)
  expect(kill.filter(file => !once.includes(file))).toEqual([])
  expect([...once, ...tidyUp].filter(file => !files.includes(file))).toEqual([])
})

it('asks the list before it runs anything again', () => {
  const line = script.split('\n').find(text => /once\[@/.test(text)) ?? ''
  const again = (...failed: string[]) => {
    const shell = `once=(${once.join(' ')}); failed=(${failed.join(' ')}); f() { ${line}\n return 0; }; f && echo again || echo no`
    return execFileSync('bash', ['-c', shell], { encoding: 'utf8' }).trim()
  }
  expect(again('tests/pages/live.slow.test.ts')).toBe('again')
  expect(again('tests/pages/live.slow.test.ts', 'tests/services/kafka-kill.services.test.ts')).toBe('no')
})

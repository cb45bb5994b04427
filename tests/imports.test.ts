/** Imports point inward: the folder shows the design, and this test keeps it so. */
import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { dirname, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')

/** What the files of a folder may import of ours, by prefix. A stage's own folder is always allowed. */
const stageMayImport = [
  'schemas',
  'dicom',
  'hl7',
  'kafka/audit-trail.ts',
  'kafka/gather.ts',
  'kafka/stage.ts',
  'kafka/log.ts',
  'kafka/ports.ts',
  'kafka/reading.ts',
  'monitoring/clock.ts',
  'models/port.ts',
  'models/imaging/port.ts',
  'storage/objects.ts',
  'storage/documents.ts',
  'storage/dicom-query.ts',
  'storage/secrets.ts',
  'storage/jobs.ts',
  'storage/job-run.ts',
  'storage/terms.ts',
  'storage/due.ts',
  'storage/s3-outbox.ts',
]
const rules: Record<string, readonly string[]> = {
  schemas: ['schemas'],
  monitoring: ['monitoring', 'schemas'],
  storage: ['storage', 'schemas', 'monitoring'],
  models: ['models', 'schemas', 'storage', 'monitoring'],
  kafka: ['kafka', 'schemas', 'storage', 'monitoring', 'models/port.ts', 'models/imaging/port.ts'],
  hl7: ['hl7', 'schemas'],
  dicom: ['dicom', 'schemas', 'models/imaging/dicom/text.ts'],
  producers: [...stageMayImport, 'producers/'],
  processors: stageMayImport,
  consumers: stageMayImport,
  gateway: [...stageMayImport, 'models/manifest.ts', 'gateway', 'monitoring', 'schemas'],
  web: ['web', 'schemas'],
}

/** Drivers appear in their adapters alone, also by parts of theirs (`kafkajs/src/protocol`). */
const drivers: Record<string, string> = {
  'node:sqlite': 'storage/sqlite/',
  'onnxruntime-node': 'models/runtime/onnxruntime/',
  kafkajs: 'kafka/kafkajs/',
  '@kafkajs/confluent-schema-registry': 'kafka/kafkajs/',
  mongodb: 'storage/',
  minio: 'storage/',
}

/** Adapters that know a service, and who may know them: another can take their place. Types count as well. */
const adapters: Record<string, string> = {
  'kafka/kafkajs/': 'cli/distributed.ts',
}

async function sources(): Promise<string[]> {
  const found: string[] = []
  for await (const file of glob(
    '{schemas,monitoring,storage,models,dicom,hl7,kafka,producers,processors,consumers,gateway,web,cli}/**/*.{ts,tsx}',
    {
      cwd: root,
      exclude: path => path.includes('node_modules') || path.includes('dist'),
    },
  )) {
    if (!/\.test\.tsx?$/.test(file)) found.push(file)
  }
  return found
}

function importsOf(file: string): string[] {
  const all = readFileSync(resolve(root, file), 'utf8')
  // The page is built apart: types cost it nothing, code of the server must not get into it.
  const text = file.startsWith('web/') ? all.replace(/^import type [^']*'[^']+'/gm, '') : all
  return [...text.matchAll(/(?:\b(?:from|import)\s*\(?|\brequire(?:\.resolve)?\()\s*['"`]([^'"`$]+)/g)].flatMap(
    match => match[1] ?? [],
  )
}

describe('imports', () => {
  it('point inward', async () => {
    const wrong: string[] = []
    for (const file of await sources()) {
      const folder = file.split('/')[0] ?? ''
      const allowed = rules[folder]
      if (!allowed) continue
      const own = file.split('/').slice(0, 2).join('/')
      for (const target of importsOf(file).filter(name => name.startsWith('.'))) {
        const to = relative(root, resolve(root, dirname(file), target))
        const fine =
          to.startsWith(`${own}/`) ||
          allowed.some(
            prefix =>
              to === prefix || to.startsWith(prefix.endsWith('/') || prefix.endsWith('.ts') ? prefix : `${prefix}/`),
          )
        if (!fine) wrong.push(`${file} → ${to}`)
      }
    }
    expect(wrong).toEqual([])
  })

  it('of one stage never lead into another stage', async () => {
    const wrong: string[] = []
    for (const file of await sources()) {
      const [role, stage] = file.split('/')
      if (!role || !['producers', 'processors', 'consumers'].includes(role)) continue
      for (const target of importsOf(file).filter(name => name.startsWith('.'))) {
        const [toRole, toStage, inside] = relative(root, resolve(root, dirname(file), target)).split('/')
        const isStage = toRole && ['producers', 'processors', 'consumers'].includes(toRole) && inside !== undefined
        if (isStage && (toRole !== role || toStage !== stage)) wrong.push(`${file} → ${toRole}/${toStage}`)
      }
    }
    expect(wrong).toEqual([])
  })

  it('of drivers stand in their adapters alone', async () => {
    const wrong: string[] = []
    for (const file of await sources()) {
      for (const target of importsOf(file)) {
        const driver = Object.keys(drivers).find(name => target === name || target.startsWith(`${name}/`))
        const home = driver && drivers[driver]
        if (home && !file.startsWith(home)) wrong.push(`${file} → ${target}`)
      }
    }
    expect(wrong).toEqual([])
  })

  it('of an adapter stand where it is chosen alone', async () => {
    const wrong: string[] = []
    for (const file of await sources()) {
      for (const target of importsOf(file).filter(name => name.startsWith('.'))) {
        const to = relative(root, resolve(root, dirname(file), target))
        const adapter = Object.keys(adapters).find(folder => to.startsWith(folder))
        if (adapter && !file.startsWith(adapter) && adapters[adapter] !== file) wrong.push(`${file} → ${to}`)
      }
    }
    expect(wrong).toEqual([])
  })

  it('leave every file of ours at most 300 lines long', async () => {
    const long = (await sources()).filter(file => readFileSync(resolve(root, file), 'utf8').split('\n').length > 301)
    expect(long).toEqual([])
  })
})

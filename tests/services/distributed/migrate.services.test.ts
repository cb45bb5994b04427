/** What docs/distributed.md says of moving a Raylog from embedded to distributed mode, done as it is written there. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { topics } from '../../../schemas/topics.ts'
import { openS3Objects } from '../../../storage/s3-objects.ts'
import { census, isIdle, listAll } from '../../harness/census.ts'
import { storeAll } from '../../harness/cstore.ts'
import { type Raylog, startRaylog } from '../../harness/raylog.ts'
import { smallRadiograph, uploadDigits } from '../../harness/senders.ts'
import { until } from '../../harness/until.ts'
import { openLog } from '../kafka-kit.ts'
import { startProcesses, usualGroups } from './processes.ts'
import { type Services, startServices } from './services.ts'

const root = resolve(import.meta.dirname, '../../..')
const raylogCommand = (args: readonly string[]) =>
  promisify(execFile)(join(root, 'node_modules/.bin/node'), [join(root, 'cli/main.ts'), ...args], { cwd: root })
const withSettings = (settings: readonly string[]) => settings.flatMap(setting => ['--set', setting])

/** As `rclone copy` does: the paths below the folder are the keys. */
async function copyObjects(folder: string, { s3 }: Services, tempFolder: string): Promise<number> {
  const { accessKey, secretKey } = s3
  const options = { endpoint: s3.url, bucket: 'raylog-test', region: 'us-east-1', accessKey, secretKey, sse: null }
  const bucket = await openS3Objects({ ...options, makeBucket: true, tempFolder })
  let copied = 0
  try {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      if (!entry.isFile() || path.startsWith(join(folder, 'incoming'))) continue
      const { key } = await bucket.put(readFileSync(path), 'application/octet-stream')
      expect(join(folder, key)).toBe(path)
      copied++
    }
  } finally {
    await bucket.close()
  }
  return copied
}

/** Each study that was assessed, with its newest revision. */
async function assessed(raylog: Raylog): Promise<string[]> {
  const lines = await listAll<{ id: string; revision: number }>(raylog, 'worklist?state=all')
  return lines.flatMap(({ id, revision }) => (revision > 0 ? [`${id} ${revision}`] : [])).sort()
}

async function assessmentsOn({ kafka }: Services): Promise<number> {
  const log = await openLog(kafka)
  try {
    const bounds = (await log.topics()).find(({ name }) => name === topics.studies.name)?.bounds ?? []
    return bounds.reduce((sum, { high }) => sum + high, 0)
  } finally {
    await log.close()
  }
}

const patience = { deadlineMs: 180_000 }

/** Ids alone, sorted. */
async function found(raylog: Raylog) {
  const { instances, predictions, reports, parked } = await census(raylog)
  const ids = (of: readonly { id: string }[]) => of.map(({ id }) => id).sort()
  return { instances: ids(instances), predictions: ids(predictions), reports: ids(reports), parked: ids(parked) }
}

it('moves with its log, objects and secrets, and goes on: documents made again, nothing reported, announced or assessed twice', async () => {
  await using cleanup = new AsyncDisposableStack()
  const work = mkdtempSync(join(tmpdir(), 'raylog-migrate-'))
  cleanup.defer(() => rmSync(work, { recursive: true }))
  const announced: string[] = []
  const receiver = createServer((request, response) => {
    announced.push(String(request.headers['webhook-id']))
    request.resume().on('end', () => response.end())
  })
  await new Promise<void>(done => receiver.listen(0, '127.0.0.1', done))
  cleanup.defer(() => void receiver.close())
  const address = receiver.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const hooks = `notify.webhooks=[{url: "http://127.0.0.1:${port}/hook", secret: "a-secret-of-the-test"}]`

  const data = join(work, 'embedded')
  // Reports of studies are objects too, as many as there are formats: those of predictions are counted here.
  const usual = [hooks, 'assess-study.plainIdleMs=300', 'report.formats=[]']
  // Those of radiographs are under way when it stops.
  const before = await startRaylog({ data, set: [...usual, 'assess-study.idleMs={DX: 600000}'] })
  cleanup.use(before)
  await uploadDigits(before, [1, 2, 3, 4, 5])
  await storeAll(before.dicomPort, [7, 8, 9].map(smallRadiograph))
  await until('all is done', async () => (await assessed(before)).length === 5 && (await isIdle(before)), patience)
  const was = await found(before)
  expect(was).toMatchObject({ parked: [] })
  expect(was.reports).toHaveLength(8)
  expect(announced).toHaveLength(8)
  expect(await before.stop()).toBe(0)

  const services = cleanup.use(await startServices())
  const file = join(work, 'log.raylog')
  await raylogCommand(['--data', data, 'export', file])
  expect(await copyObjects(join(data, 'objects'), services, join(work, 'tmp'))).toBe(16)
  const there = ['--data', join(work, 'commands'), ...withSettings(services.settings)]
  await raylogCommand([...there, 'topics', 'apply'])
  const { stdout } = await raylogCommand([...there, 'import', file, '--reread', 'persist,audit,assess-study'])
  expect(stdout).toContain('go on where they stood: deliver, expect-images, infer, notify, report, syslog')

  // The embedded folder has secrets.key and token.
  const set = [...usual, 'assess-study.idleMs={DX: 1000}']
  const processes = cleanup.use(await startProcesses(services, usualGroups, { set, secrets: data }))
  const { gateway } = processes.of
  await until(
    'all is read again',
    async () => (await isIdle(gateway)) && (await found(gateway)).reports.length >= 8,
    patience,
  )
  expect(await found(gateway)).toEqual(was)
  expect(announced).toHaveLength(8)
  // What was said is not said again; what was under way is not forgotten.
  const all = await until(
    'every study is assessed',
    async () => {
      const lines = await assessed(gateway)
      return lines.length === 8 ? lines : undefined
    },
    patience,
  )
  expect(all.every(line => line.endsWith(' 1'))).toBe(true)
  expect(await assessmentsOn(services)).toBe(8)

  await uploadDigits(gateway, [6])
  await until('the new one is announced', () => announced.length > 8, patience)
  await until('all is done', async () => (await assessed(gateway)).length === 9 && (await isIdle(gateway)), patience)
  expect(await assessmentsOn(services)).toBe(9)
  const now = await found(gateway)
  expect([now.instances, now.predictions, now.reports].map(ids => ids.length)).toEqual([9, 9, 9])
  expect(announced).toHaveLength(9)
  expect(new Set(announced).size).toBe(9)
})

/** Replays in distributed mode: the process that runs them is killed, stopped and started again; people ask another. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../../monitoring/clock.ts'
import { openS3Objects } from '../../../storage/s3-objects.ts'
import { isIdle } from '../../harness/census.ts'
import { storeAll } from '../../harness/cstore.ts'
import { smallRadiograph } from '../../harness/senders.ts'
import { until } from '../../harness/until.ts'
import { replayContract } from '../../pipeline/replay-contract.ts'
import { versionSettings } from '../../pipeline/replay-kit.ts'
import { startProcesses } from './processes.ts'
import { startServices } from './services.ts'

const groups = {
  intake: ['dimse'],
  gateway: ['gateway', 'upload'],
  infer: ['infer'],
  replay: ['replay'],
  results: ['persist', 'report', 'notify'],
} as const

replayContract(async set => {
  await using starting = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'raylog-replay-'))
  starting.defer(() => rmSync(folder, { recursive: true }))
  const services = starting.use(await startServices())
  const settings = ['logLevel=warn', ...versionSettings(join(folder, 'models')), ...set]
  const { of } = starting.use(await startProcesses(services, groups, { set: settings }))
  const { url: endpoint, accessKey, secretKey } = services.s3
  const place = { endpoint, accessKey, secretKey, bucket: 'raylog-test', region: 'us-east-1', prefix: '' }
  const objects = await openS3Objects({
    ...{ ...place, pathStyle: true, makeBucket: false, sse: null, tempFolder: join(folder, 's3') },
    clock: systemClock,
  })
  starting.defer(() => objects.close())
  const running = starting.move()
  return {
    raylog: of.gateway,
    runner: of.replay,
    async send(numbers) {
      await storeAll(of.intake.dicomPort, numbers.map(smallRadiograph))
      await until('every stage is idle', () => isIdle(of.gateway), { deadlineMs: 240_000 })
    },
    async erase(key) {
      if (!(await objects.delete(key))) throw new Error(`there is no object ${key}`)
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
})

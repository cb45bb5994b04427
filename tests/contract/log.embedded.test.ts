import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedLog } from '../../kafka/embedded/log.ts'
import { logContract } from './log.ts'

logContract(
  'the embedded log',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'raylog-log-'))
    let log = await openEmbeddedLog({ folder })
    return {
      log,
      async reopen() {
        await log.killThread()
        await log.close()
        log = await openEmbeddedLog({ folder })
        return log
      },
      async forget(topic) {
        await log.ensureTopics([{ name: topic, partitions: 1, retention: { maxAgeMs: 3_600_000, maxBytes: null } }])
        await log.trim()
      },
      async close() {
        await log.close()
        await rm(folder, { recursive: true })
      },
    }
  },
  { dense: true },
)

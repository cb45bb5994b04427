/** Where the DICOM node listens. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, it } from 'vitest'
import { associate, echo, statusOf } from '../../tests/harness/dicom-peer.ts'
import { openProducer } from '../../tests/harness/producer.ts'
import { freePort } from '../../tests/harness/raylog.ts'
import { dimse } from './stage.ts'

it('takes the next free port where its own is in use, says which, and answers there', async () => {
  const port = await freePort()
  const other = createServer().listen(port, '127.0.0.1')
  await once(other, 'listening')
  try {
    await using stage = await openProducer(dimse, { settings: { port } })
    const taken = Number(stage.endpoints.dicom?.port)
    expect(taken).toBeGreaterThan(port)
    expect(taken).toBeLessThanOrEqual(port + 20)
    using peer = await associate(taken)
    peer.write(echo())
    expect(statusOf(await peer.next()).status).toBe(0)
  } finally {
    other.close()
  }
})

it('does not go elsewhere where it cannot listen at all', async () => {
  // 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
  const opened = openProducer(dimse, { settings: { host: '192.0.2.1', port: 11_112 } })
  await expect(opened).rejects.toMatchObject({ code: 'config-invalid', message: expect.stringContaining('192.0.2.1') })
})

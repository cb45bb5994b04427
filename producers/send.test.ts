import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RaylogError } from '../schemas/errors.ts'
import { type OpenProducer, openProducer } from '../tests/harness/producer.ts'
import { freePort } from '../tests/harness/raylog.ts'
import { dimse } from './dimse/stage.ts'
import { type SendOutcome, sendFolder } from './send.ts'
import { chestDicom, chestUids, digitPng } from './simulator/phantoms.ts'

let folder = ''
const stages: OpenProducer[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-send-'))
})
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
  await rm(folder, { recursive: true })
})

async function receiver(publishing: () => void = () => undefined) {
  const stage = await openProducer(dimse, { settings: { port: 0 }, publishing })
  stages.push(stage)
  return { stage, dicom: { host: '127.0.0.1', port: Number(stage.endpoints.dicom?.port), calledAeTitle: 'RAYLOG' } }
}

describe('sending files', () => {
  it('sends the DICOM files below a folder by C-STORE, and says of each what became of it', async () => {
    const { stage, dicom } = await receiver()
    await mkdir(join(folder, 'deep/er'), { recursive: true })
    await writeFile(join(folder, 'a.dcm'), chestDicom(1))
    await writeFile(join(folder, 'deep/er/b'), chestDicom(2))
    await writeFile(join(folder, 'c.png'), await digitPng(1))
    const outcomes: SendOutcome[] = []
    const progress: string[] = []
    const sent = await sendFolder(
      [folder],
      { dicom },
      {
        onFile(outcome, done, total) {
          outcomes.push(outcome)
          progress.push(`${done}/${total}`)
        },
      },
    )
    expect(sent).toEqual({ sent: 2, failed: 1 })
    expect(progress).toEqual(['1/3', '2/3', '3/3'])
    expect(outcomes.find(outcome => outcome.path.endsWith('c.png'))).toMatchObject({ ok: false, attempts: 0 })
    expect(stage.published.map(event => event.dicom?.sopInstance).sort()).toEqual(
      [chestUids(1).sopInstance, chestUids(2).sopInstance].sort(),
    )
  })

  it('says which file cannot be read, and sends the others', async () => {
    const { stage, dicom } = await receiver()
    await writeFile(join(folder, 'b.dcm'), chestDicom(1))
    const outcomes: SendOutcome[] = []
    await writeFile(join(folder, 'a.dcm'), chestDicom(2))
    const sent = await sendFolder(
      [join(folder, 'a.dcm'), join(folder, 'b.dcm')],
      { dicom },
      {
        concurrency: 1,
        retries: 0,
        // The first file to be sent takes the other one away.
        async onFile(outcome) {
          outcomes.push(outcome)
          if (outcomes.length === 1) rmSync(join(folder, 'b.dcm'))
        },
      },
    )
    expect(sent).toEqual({ sent: 1, failed: 1 })
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, false])
    expect(stage.published).toHaveLength(1)
  })

  it('leaves no listeners behind on a connection that is slow', async () => {
    const { dicom } = await receiver()
    await writeFile(join(folder, 'large.dcm'), Buffer.concat([chestDicom(1), Buffer.alloc(24 * 1024 * 1024)]))
    const warnings: string[] = []
    const warned = (warning: Error) => void warnings.push(warning.name)
    process.on('warning', warned)
    await sendFolder([folder], { dicom }, { retries: 0 })
    await new Promise(resolve => setImmediate(resolve))
    process.off('warning', warned)
    expect(warnings).toEqual([])
  })

  it('sends again what the receiver had no room for, and gives up after so many attempts', async () => {
    let failures = 2
    const { dicom } = await receiver(() => {
      if (failures-- > 0) throw new RaylogError('store-full', 'no space')
    })
    await writeFile(join(folder, 'a.dcm'), chestDicom(1))
    const outcomes: SendOutcome[] = []
    const options = { backoffMs: 1, onFile: (outcome: SendOutcome) => outcomes.push(outcome) }
    expect(await sendFolder([folder], { dicom }, options)).toEqual({ sent: 1, failed: 0 })
    failures = Number.POSITIVE_INFINITY
    expect(await sendFolder([folder], { dicom }, { ...options, retries: 1 })).toEqual({ sent: 0, failed: 1 })
    expect(outcomes).toMatchObject([
      { ok: true, attempts: 3 },
      { ok: false, attempts: 2, text: expect.stringMatching(/^0xA700 store-full/) },
    ])
  })

  it('does not send again what was refused for good', async () => {
    const { dicom } = await receiver()
    await writeFile(join(folder, 'a.dcm'), chestDicom(1).subarray(0, 60_000))
    const outcomes: SendOutcome[] = []
    await sendFolder([folder], { dicom }, { backoffMs: 1, onFile: outcome => outcomes.push(outcome) })
    expect(outcomes).toMatchObject([{ ok: false, attempts: 1 }])
  })

  it('says when nobody listens', async () => {
    const dicom = { host: '127.0.0.1', port: await freePort(), calledAeTitle: 'RAYLOG' }
    await writeFile(join(folder, 'a.dcm'), chestDicom(1))
    const outcomes: SendOutcome[] = []
    await sendFolder([folder], { dicom }, { retries: 0, onFile: outcome => outcomes.push(outcome) })
    expect(outcomes).toMatchObject([{ ok: false, text: expect.stringMatching(/ECONNREFUSED/) }])
  })

  it('sends over HTTP with the token, and again after 503', async () => {
    const asked: { authorization: string | undefined; bytes: number }[] = []
    const server = createServer((request, response) => {
      let bytes = 0
      request.on('data', chunk => {
        bytes += chunk.length
      })
      request.on('end', () => {
        asked.push({ authorization: request.headers.authorization, bytes })
        response.setHeader('content-type', 'application/json')
        if (asked.length === 1)
          response.writeHead(503).end(JSON.stringify({ title: 'Too much at once', detail: 'wait' }))
        else response.writeHead(201).end(JSON.stringify({ items: [{ file: 'a.png', id: 'in_1', study: 'st_1' }] }))
      })
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const png = await digitPng(1)
    await writeFile(join(folder, 'a.png'), png)
    const outcomes: SendOutcome[] = []
    const http = { url: `http://127.0.0.1:${port}`, token: 'secret' }
    await sendFolder([join(folder, 'a.png')], { http }, { backoffMs: 1, onFile: outcome => outcomes.push(outcome) })
    server.close()
    server.closeAllConnections()
    expect(outcomes).toMatchObject([{ ok: true, attempts: 2, text: 'in_1' }])
    expect(asked).toMatchObject([{ authorization: 'Bearer secret' }, { authorization: 'Bearer secret' }])
    expect(asked[0]?.bytes).toBeGreaterThan(png.length)
  })
})

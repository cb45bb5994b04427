/**
 * One Raylog, some forty attacks one after the other, and then the proof that it is well: an honest image still comes to its
 * result, no stage is stuck, memory is bounded, and nobody's name is anywhere but sealed.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { io, type Socket } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { graphsFolder, manifestOf, png, temporaryFolder, writeModel } from '../../models/testing.ts'
import { digitPng } from '../../producers/simulator/phantoms.ts'
import { isIdle } from '../harness/census.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'
import { dicomFile, text } from './bodies.ts'
import { onDicom } from './on-dicom.ts'
import { type Attack, canary, onHttp, upload } from './on-http.ts'

const secret = 'a-secret-of-the-test'
/** Of the main process; an empty Raylog has some 250 MB. */
const mostMb = 1_200

const graphs = temporaryFolder()
let raylog: Raylog
let receiver: Server
let socket: Socket
const hooks: { path: string; body: string }[] = []
const pushed: string[] = []

/** Receivers that redirect for ever, never answer, always fail, or answer without end. */
function receive(): Promise<number> {
  receiver = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (more: string) => (body += more))
    request.on('end', () => {
      const path = request.url ?? ''
      hooks.push({ path, body })
      if (path === '/redirect') response.writeHead(307, { location: '/redirect' }).end()
      else if (path === '/fails') response.writeHead(500).end('no')
      else if (path === '/endless') {
        const more = Buffer.alloc(65_536, 'x')
        const pour = () => !response.destroyed && response.write(more, () => setImmediate(pour))
        response.writeHead(200)
        pour()
      } else if (path !== '/hangs') response.end()
    })
  })
  return new Promise(done =>
    receiver.listen(0, '127.0.0.1', () => {
      const address = receiver.address()
      done(typeof address === 'object' && address ? address.port : 0)
    }),
  )
}

beforeAll(async () => {
  const port = await receive()
  // Hangs where an image is white. It takes nothing unasked.
  writeModel(
    graphs.path,
    'slow',
    manifestOf('slow', { accepts: { modalities: ['NONE'] } }),
    join(graphsFolder, 'slow.onnx'),
  )
  const hook = (path: string) => `{url: "http://127.0.0.1:${port}/${path}", secret: "${secret}", timeoutMs: 500}`
  raylog = await startRaylog({
    set: [
      `notify.webhooks=[${['redirect', 'hangs', 'fails', 'endless', 'fine'].map(hook).join(', ')}]`,
      'notify.attempts=2',
      'logLevel=debug',
      'models.workers=2',
      'models.budgetMs=4000',
      `models.folders=[${graphs.path}]`,
      'upload.stallMs=4000',
      'dimse.stallMs=4000',
      ...['dimse.maxAssociationsPerCaller=256', 'dimse.maxUnassociatedPerAddress=256'],
      'dimse.waitMs=20000',
      'watch.scanMs=50',
      'watch.stableMs=200',
    ],
  })
  socket = io(raylog.url, { path: '/live', auth: { token: raylog.token }, transports: ['websocket'] })
  socket.onAny((event: string, payload) => pushed.push(event + JSON.stringify(payload)))
  await new Promise<void>(done => socket.once('connect', done))
  await socket.emitWithAck('join', { rooms: ['all'] })
}, 120_000)

afterAll(async () => {
  socket?.close()
  receiver?.closeAllConnections()
  receiver?.close()
  await raylog?.[Symbol.asyncDispose]()
  graphs[Symbol.dispose]()
})

/** The most memory that the process has had, MB. */
const peakMb = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${raylog.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024

/** Processes of which the given one is the parent. */
function childrenOf(pid: number): number[] {
  const listed = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return listed === '' ? [] : listed.split(' ').map(Number)
}

const metricsOf = async () => (await raylog.get('/metrics')).text()

async function resultOf(seed: number): Promise<string> {
  const answer = await raylog.post('/api/v1/predictions?model=digits&timeoutMs=60000', await digitPng(seed), {
    'content-type': 'image/png',
  })
  expect(answer.status).toBe(200)
  const { predictions } = (await answer.json()) as { predictions: { label: string }[] }
  return predictions[0]?.label ?? ''
}

const names = (tag: number) => text(tag, 'PN', `${canary}^Carla`)
const words = (tag: number) => text(tag, 'LO', `about ${canary}`)

const onTheRest: readonly Attack[] = [
  [
    'keeps the name of a patient out of everything, wherever the device wrote it',
    async () => {
      const patient = Buffer.concat([
        ...[0x00100010].map(names),
        text(0x00100020, 'LO', `ID-${canary}`),
        ...[0x00101001, 0x00101060].map(names),
        ...[0x00104000, 0x00102160].map(words),
      ])
      const before = Buffer.concat([
        ...[0x00080050, 0x00080080].map(words),
        names(0x00080090),
        ...[0x00081030, 0x0008103e].map(words),
        ...[0x00081050, 0x00081070].map(names),
      ])
      const lies = { uid: '1.2.66.1', study: '1.2.66', patient, before }
      const type = { 'content-type': 'multipart/form-data; boundary=X' }
      const head = `--X\r\nContent-Disposition: form-data; name="file"; filename="${canary}.dcm"\r\n\r\n`
      const form = (bytes: Buffer) => Buffer.concat([Buffer.from(head), bytes, Buffer.from('\r\n--X--\r\n')])
      expect(await upload(raylog, form(dicomFile(lies)), type, '?model=digits')).toMatchObject({ status: 201 })
      await upload(raylog, form(dicomFile(lies).subarray(0, 600)), type)
      await upload(raylog, form(Buffer.from(canary)), type)
      await raylog.get(`/api/v1/${canary}?${canary}=${canary}`)
      await raylog.get(`/api/v1/instances/${canary}`)
      writeFileSync(join(raylog.inbox, `${canary}.dcm`), dicomFile({ ...lies, uid: '1.2.66.2' }))
      writeFileSync(join(raylog.inbox, `${canary}.txt`), canary)
      await until('both files are put away', () => readdirSync(raylog.inbox).every(name => !name.startsWith(canary)))
    },
  ],
  [
    'passes over pipes, links and odd names in its inbox, and takes a thousand files',
    async () => {
      execFileSync('mkfifo', [join(raylog.inbox, 'pipe.dcm')])
      execFileSync('ln', ['-s', '/etc/passwd', join(raylog.inbox, 'passwd.dcm')])
      execFileSync('ln', ['-s', '.', join(raylog.inbox, 'loop')])
      const odd = Buffer.concat([Buffer.from(`${raylog.inbox}/`), Buffer.from([0xff, 0x0a]), Buffer.from('.png')])
      const digit = await digitPng(3)
      writeFileSync(odd, digit)
      for (let i = 0; i < 1_000; i++)
        writeFileSync(join(raylog.inbox, `${i}.png`), Buffer.concat([digit, Buffer.from(`${i}`)]))
      await until('all are taken', () => readdirSync(raylog.inbox).length === 3, { deadlineMs: 120_000 })
    },
  ],
  [
    'answers while its workers are killed under it, and while one stands still',
    async () => {
      const workers = childrenOf(raylog.pid)
      expect(workers.length).toBeGreaterThan(0)
      const waiting = Array.from({ length: 20 }, (_, i) => resultOf(100 + i))
      for (const pid of workers) process.kill(pid, 'SIGKILL')
      expect(await Promise.all(waiting)).toHaveLength(20)
      const [first] = await until('the workers are back', () => {
        const now = childrenOf(raylog.pid)
        return now.length >= workers.length ? now : undefined
      })
      if (first !== undefined) process.kill(first, 'SIGSTOP')
      expect(await Promise.all(Array.from({ length: 8 }, (_, i) => resultOf(200 + i)))).toHaveLength(8)
    },
  ],
  [
    'parks an image that hangs two workers as what it is, and answers its neighbours',
    async () => {
      const ask = async (grey: number) => {
        const form = new FormData()
        form.append('model', 'slow')
        form.append('file', new Blob([new Uint8Array(await png(grey))], { type: 'image/png' }), 'grey.png')
        const answer = await raylog.post('/api/v1/instances', form)
        expect(answer.status).toBe(201)
        return ((await answer.json()) as { items: { id: string }[] }).items[0]?.id ?? ''
      }
      const restarts = async () =>
        Number(/worker_restarts_total\{pool="infer",code="worker-timeout"\} (\d+)/.exec(await metricsOf())?.[1] ?? 0)
      const before = await restarts()
      // Near enough to white that the graph goes round for years; the others are done in no time.
      const [killer, ...neighbours] = await Promise.all([255, 1, 2, 3, 4, 5, 6, 7].map(ask))
      const digits = await Promise.all([1, 2, 3, 4].map(i => resultOf(400 + i)))
      expect(digits).not.toContain('')
      const parked = await until('the killer is parked', async () => {
        const { items } = await raylog.json<{ items: { id: string; code: string; subject: string | null }[] }>(
          '/api/v1/parked?state=parked&limit=1000',
        )
        return items.find(({ subject }) => subject === killer)
      })
      expect(parked.code).toBe('worker-killer')
      // A worker that is stopped with the machine may be taken for one that hangs.
      expect((await restarts()) - before).toBeGreaterThanOrEqual(2)
      for (const id of neighbours)
        await until(`${id} has its result`, async () => {
          const { predictions } = await raylog.json<{ predictions: unknown[] }>(`/api/v1/instances/${id}`)
          return predictions.length === 1
        })
    },
  ],
  [
    'goes on where it was when the whole process is stopped and continued',
    async () => {
      const asked = resultOf(300)
      process.kill(raylog.pid, 'SIGSTOP')
      await new Promise(resolve => setTimeout(resolve, 3_000)) // how long it stands still is the attack
      process.kill(raylog.pid, 'SIGCONT')
      expect(await asked).not.toBe('')
    },
  ],
  [
    'retries and drops a parked event once, however often it is asked at once',
    async () => {
      const { items } = await raylog.json<{ items: { id: string }[] }>('/api/v1/parked?state=parked&limit=1')
      const id = items[0]?.id ?? ''
      const actions = ['retry', 'drop', 'retry', 'drop', 'retry', 'drop']
      const answers = await Promise.all(actions.map(action => raylog.post(`/api/v1/parked/${id}/${action}`)))
      const told = await Promise.all(answers.map(answer => answer.json() as Promise<{ changed?: boolean }>))
      expect(told.filter(({ changed }) => changed)).toHaveLength(1)
    },
  ],
]

describe('a Raylog', () => {
  it.each([...onHttp, ...onDicom, ...onTheRest])(
    '%s',
    async (_, run) => {
      await run(raylog)
      expect((await fetch(`${raylog.url}/healthz`)).ok).toBe(true)
    },
    120_000,
  )

  it('is well after all of it', async () => {
    expect(await resultOf(4)).toMatch(/^\d$/)
    await until('no stage has anything left', () => isIdle(raylog), { deadlineMs: 120_000, everyMs: 200 })
    await until('all is well', async () => (await raylog.json<{ ok: boolean }>('/api/v1/monitoring/health')).ok)
    expect(new Set(hooks.map(({ path }) => path))).toEqual(
      new Set(['/redirect', '/hangs', '/fails', '/endless', '/fine']),
    )
    const faults =
      raylog.logs().match(/^.*(?:"code":"internal"|fault of ours|ExceededWarning|DeprecationWarning|Unhandled).*$/gm) ??
      []
    expect(faults).toEqual([])
    expect(peakMb()).toBeLessThan(mostMb)
  })

  it('has told nobody the name', async () => {
    const kept = readdirSync(raylog.data, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile() && /\/(log|documents)(\/|$)/.test(entry.parentPath.slice(raylog.data.length)))
      .map(entry => join(entry.parentPath, entry.name))
    expect(kept.length).toBeGreaterThan(1)
    for (const path of kept) expect(readFileSync(path).includes(canary), path).toBe(false)
    for (const told of [raylog.logs(), await metricsOf(), JSON.stringify(hooks), pushed.join('')])
      expect(told.match(new RegExp(`.{0,200}${canary}.{0,50}`))?.[0]).toBeUndefined()
  })

  it('stops in order when it is told to', async () => {
    expect(await raylog.stop()).toBe(0)
  })
})

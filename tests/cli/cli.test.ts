/** What an operator types and reads: the real commands against one real Raylog. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chestDicom } from '../../producers/simulator/phantoms.ts'
import { allTopics } from '../../schemas/topics.ts'
import { isIdle } from '../harness/census.ts'
import { command } from '../harness/command.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'

const slowStart = 120_000
const seven = resolve(import.meta.dirname, '../../docs/seven.png')

describe('the command line, beside a running Raylog', { timeout: 120_000 }, () => {
  const files = mkdtempSync(join(tmpdir(), 'raylog-cli-'))
  // Not among the files, which are sent as a folder.
  const share = mkdtempSync(join(tmpdir(), 'raylog-cli-share-'))
  const chest = join(files, 'chest.dcm')
  const broken = join(files, 'broken.png')
  let raylog: Raylog
  const on = (...args: string[]) => command(['--data', raylog.data, ...args])

  beforeAll(async () => {
    writeFileSync(chest, chestDicom(1))
    writeFileSync(broken, brokenPixels(await readFile(seven)))
    writeFileSync(join(files, 'notes.txt'), 'not an image')
    const destination = `{name: share, kind: folder, path: '${share}', rules: [{formats: [pdf]}]}`
    raylog = await startRaylog({
      set: ['simulator.ratePerSecond=100', 'simulator.limit=1', `deliver.destinations=[${destination}]`],
    })
  }, slowStart)
  afterAll(async () => {
    await raylog[Symbol.asyncDispose]()
    for (const folder of [files, share]) rmSync(folder, { recursive: true, force: true })
  })

  it('says where everything is when it starts', () => {
    const banner = raylog.banner()
    expect(banner).toMatch(/Raylog is ready \(\d+\.\d s\)/)
    expect(banner).toContain(`${raylog.url}/?token=${raylog.token}`)
    expect(banner).toContain(`127.0.0.1:${raylog.dicomPort}, AE title RAYLOG`)
    expect(banner).toMatch(/Watched folder +\S*inbox\n/)
    expect(banner).toContain(`${raylog.url}/docs`)
    expect(banner).toMatch(/Demo +100 made-up images a second/)
    expect(banner).toContain('breast@1, digits@1, pneumonia@1')
    expect(banner).toContain('Research use only')
  })

  it('sends files and folders, and says what became of each', async () => {
    const { code, stdout } = await on('send', files, seven, '--model', 'digits')
    expect(stdout).toMatch(/ok +\S+chest\.dcm +in_[0-9a-f]{32}/)
    expect(stdout).toMatch(/ok +\S+seven\.png +in_[0-9a-f]{32}/)
    expect(stdout).toMatch(/FAILED +\S+notes\.txt +Not an image that Raylog reads/)
    expect(stdout).toContain('3 sent, 1 failed.')
    expect(code).toBe(1)
  })

  it('sends by C-STORE to a DICOM node, and ends with 0 when all was taken', async () => {
    const { code, stdout } = await on('send', chest, '--to', `RAYLOG@127.0.0.1:${raylog.dicomPort}`)
    expect(stdout).toContain('0x0000')
    expect(stdout).toContain('1 sent.')
    expect(code).toBe(0)
  })

  it('names each path that does not exist, and sends nothing', async () => {
    const { code, stdout, stderr } = await on('send', seven, join(files, 'a.dcm'), join(files, 'b.dcm'))
    expect(stderr).toContain(`There is no ${join(files, 'a.dcm')}, no ${join(files, 'b.dcm')}.`)
    expect(stdout).toBe('')
    expect(code).toBe(1)
  })

  it('says so when there is nothing to send, or no such target', async () => {
    mkdirSync(join(files, 'empty'))
    const empty = await on('send', join(files, 'empty'))
    expect(empty.stderr).toContain('There are no files in')
    expect(empty.code).toBe(1)
    const nowhere = await on('send', seven, '--to', 'nonsense')
    expect(nowhere.stderr).toContain('--to nonsense is neither a peer of the settings, nor a DICOM node, nor a URL')
    expect(nowhere.code).toBe(1)
  })

  it('explains who took an image, who did not and why, and every step since', async () => {
    const another = join(files, 'another.dcm')
    writeFileSync(another, chestDicom(2))
    const sent = await on('send', another)
    const id = /in_[0-9a-f]{32}/.exec(sent.stdout)?.[0] ?? ''
    await until('all is done', () => isIdle(raylog))
    const { code, stdout } = await on('explain', id)
    expect(stdout).toContain(`${id}, by `)
    expect(stdout).toMatch(/pneumonia@1 +took it/)
    expect(stdout).toMatch(/digits@1 +did not +modality is/)
    expect(stdout).toMatch(/infer +pneumonia@1 \(production\): (Normal|Pneumonia), score 0\.\d+/)
    expect(stdout).toMatch(/report +PDF page of one image made/)
    expect(code).toBe(0)
    const json = JSON.parse((await on('explain', id, '--json')).stdout)
    expect(json).toMatchObject({ instance: id, routes: expect.any(Array), steps: expect.any(Array) })
  })

  it('says once that there is no such instance, and what to do', async () => {
    const { code, stderr } = await on('explain', 'in_nope')
    expect(stderr).toBe(
      'not-found: There is no such thing\n  There is no such instance.\n' +
        'Check the id; a new instance may need a moment to be written.\n',
    )
    expect(code).toBe(1)
  })

  it('lists what is parked with its remedy, tries it again, and drops it', async () => {
    await until('the broken image is parked', async () => (await on('parked')).stdout.includes('pk_'))
    const { code, stdout } = await on('parked')
    expect(stdout).toMatch(/pk_\w+ +infer +truncated +in_\w+/)
    expect(stdout).toContain('truncated: The data end too early. Send the file again')
    expect(code).toBe(0)
    expect((await on('parked', 'list', '--stage', 'report')).stdout).toBe('Nothing is parked.\n')
    const retried = await on('parked', 'retry', 'all')
    expect(retried.stdout).toMatch(/^pk_\w+ is tried again\n$/)
    await until('it is parked again', async () => (await on('parked')).stdout.includes('pk_'))
    const [item] = JSON.parse((await on('parked', '--json')).stdout)
    expect((await on('parked', 'drop', item.id)).stdout).toBe(`${item.id} dropped\n`)
    await until('it is dropped', async () => (await on('parked')).stdout === 'Nothing is parked.\n')
    expect((await on('parked', 'retry', 'all')).stdout).toBe('Nothing is parked.\n')
    expect((await on('parked', 'drop', 'pk_nope')).code).toBe(1)
  })

  it('lists where reports went, and sends them again', async () => {
    const list = () => on('reports', 'list', '--destination', 'share')
    const { stdout } = await until('a report was delivered', async () => {
      const said = await list()
      return said.stdout.includes('sent, st_') && /share +0 +0/.test(said.stdout) ? said : undefined
    })
    const [id = ''] = /rd_[0-9a-f]{32}/.exec(stdout) ?? []
    const again = await on('reports', 'resend', id)
    expect(again.stdout).toBe('1 to be sent again: 1 to share\n')
    expect(again.code).toBe(0)
    const none = await on('reports', 'resend', '--study', 'st_none')
    expect(none.stdout).toContain('Nothing to send again.')
    const unclear = await on('reports', 'resend')
    expect(unclear.stderr).toContain('say which: ids, studies, or a time')
    expect(unclear.code).toBe(1)
  })

  it('lists topics with the lag of each stage, and prints a schema', async () => {
    await until('all is done', () => isIdle(raylog))
    const { code, stdout } = await on('topics')
    for (const { name } of allTopics) expect(stdout).toContain(name)
    expect(stdout).toMatch(/imaging\.instances\.v1 +6 +[1-9]\d* .*infer 0/)
    expect(code).toBe(0)
    const schema = JSON.parse((await on('topics', '--schema', 'imaging.instances.v1')).stdout)
    expect(schema).toMatchObject({ type: 'record', name: 'Instance' })
    const unknown = await on('topics', '--schema', 'nope')
    expect(unknown.stderr).toContain('no topic nope; there are imaging.instances.v1')
    expect(unknown.code).toBe(1)
  })

  it('finds nothing wrong as its doctor, and knows whose ports are taken', async () => {
    const ports = [`http.port=${new URL(raylog.url).port}`, `dimse.port=${raylog.dicomPort}`]
    const { code, stdout } = await on(...ports.flatMap(port => ['--set', port]), 'doctor')
    expect(stdout).toMatch(/ok +node +v2\d/)
    expect(stdout).toMatch(/ok +model pneumonia@1/)
    expect(stdout).toMatch(/page port +\d+ is in use, by the Raylog on this folder/)
    expect(stdout).toContain('All is well.')
    expect(code).toBe(0)
  })

  it('does not start a second time on the same folder, and leaves the first one be', async () => {
    const { code, stderr } = await on('start')
    expect(stderr).toContain('data-in-use: The data folder is in use')
    expect(stderr).toContain('Another Raylog runs on it')
    expect(code).toBe(1)
    expect((await on('topics')).code).toBe(0)
  })
})

describe('the command line by itself', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'raylog-cli-'))
  const here = (args: string[], env = {}) => command(['--data', join(folder, 'data'), ...args], { cwd: folder, env })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('says what to do when no Raylog runs, or the one that did was killed', async () => {
    for (const args of [['topics'], ['parked'], ['explain', 'in_1'], ['send', folder]]) {
      const { code, stderr } = await here(args)
      expect(stderr).toMatch(/^No Raylog runs on .*\nStart one with "npm start"/)
      expect(code).toBe(1)
    }
    const killed = join(folder, 'killed')
    mkdirSync(killed)
    writeFileSync(join(killed, 'token'), 'x'.repeat(32))
    writeFileSync(join(killed, 'running.json'), JSON.stringify({ url: 'http://127.0.0.1:9', pid: 1 }))
    const { code, stderr } = await command(['--data', killed, 'topics'])
    expect(stderr).toContain('does not answer: it was killed')
    expect(code).toBe(1)
  })

  it('names every bad setting at once, wherever it came from, and starts nothing', async () => {
    writeFileSync(join(folder, 'raylog.yaml'), 'dimse:\n  aeTitel: CT\nwatch:\n  scanMs: 1\n')
    const { code, stdout, stderr } = await here(['--set', 'nosuch.x=1', 'start'], { RAYLOG_HTTP__PORT: 'abc' })
    rmSync(join(folder, 'raylog.yaml'))
    expect(stderr).toContain('config-invalid')
    for (const path of ['dimse.aeTitel', 'watch.scanMs', 'nosuch', 'http.port']) expect(stderr).toContain(`  ${path}: `)
    expect(stderr).toContain('raylog config')
    expect(stdout).toBe('')
    expect(code).toBe(1)
  })

  it('prints the plan of its topics, and shortens what is kept only where that is asked for', async () => {
    const topics = (...args: string[]) => command(['--data', join(folder, 'planned'), ...args])
    const made = await topics('topics', 'apply')
    expect(made.stdout).toMatch(/imaging\.instances\.v1 +to be made +6 partitions/)
    expect(made.stdout).toContain(`Done: ${allTopics.length} of ${allTopics.length}.`)
    expect(made.code).toBe(0)
    const shorter = ['--set', 'log.retentionDays=30', 'topics']
    const cut = /imaging\.instances\.v1 +LOSES RECORDS +retention\.maxAgeMs: 31536000000 to 2592000000/
    for (const held of [await topics(...shorter, 'apply'), await topics(...shorter, 'plan')]) {
      expect(held.stdout).toMatch(cut)
      expect(held.stdout).toContain('"raylog topics apply --allow-loss"')
      expect(held.stdout).not.toContain('Done:')
      expect(held.code).toBe(1)
    }
    const cutDown = await topics(...shorter, 'apply', '--allow-loss')
    expect(cutDown.stdout).toMatch(cut)
    expect(cutDown.code).toBe(0)
    expect((await topics(...shorter, 'plan')).stdout).toBe('The topics are as the settings say.\n')
  })

  it('says the same of a bad setting in a command that only asks', async () => {
    const { code, stderr } = await here(['topics'], { RAYLOG_HTTP__PORT: 'abc' })
    expect(stderr).toMatch(/^config-invalid: .*\n {2}http\.port: /)
    expect(code).toBe(1)
    const doctor = await here(['--set', 'http.port=abc', 'doctor'])
    expect(doctor.stdout).toMatch(/WRONG +settings +http\.port: /)
    expect(doctor.code).toBe(1)
  })

  it('says what is wrong with a folder that it cannot write', async () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    const { code, stderr } = await command(['--data', file, 'start'])
    expect(stderr).toBe(`${file} is a file, not a folder.\nName another folder with --data, or mend this one.\n`)
    expect(code).toBe(1)
  })

  it('prints the settings in force with secrets masked, and their JSON Schema', async () => {
    const webhook = 'notify.webhooks=[{url: "https://example.org/hook", secret: at-least-sixteen-characters}]'
    const { code, stdout } = await here(['--set', webhook, 'config'], { RAYLOG_HTTP__PORT: '9000' })
    expect(stdout).toContain('port: 9000')
    expect(stdout).not.toContain('at-least-sixteen')
    expect(code).toBe(0)
    const schema = JSON.parse((await here(['config', '--schema'])).stdout)
    expect(schema.properties).toMatchObject({ http: expect.any(Object), dimse: expect.any(Object) })
  })

  it('lists the models with what they take and are worth, and a folder that is not there with its remedy', async () => {
    const { code, stdout } = await here(['models'])
    expect(stdout).toMatch(/pneumonia@1 +CR\/DX CHEST +AUC 0\.\d+/)
    expect(stdout).toMatch(/digits@1 .* {2}accuracy 0\.\d+ \(0\.\d+ to 0\.\d+\)\n/)
    expect(code).toBe(0)
    const missing = await here(['--set', 'models.folders=[/nowhere/models]', 'models'])
    expect(missing.stdout).toContain('/nowhere/models')
    expect(missing.stdout).toContain('models.folders')
  })
})

/** A PNG whose header can be read and whose pixels cannot: the middle of its IDAT is turned over (PNG 11.2.3). */
function brokenPixels(png: Buffer): Buffer {
  const broken = Buffer.from(png)
  for (let at = 8; at < broken.length; ) {
    const length = broken.readUInt32BE(at)
    if (broken.toString('latin1', at + 4, at + 8) === 'IDAT')
      for (let i = length >> 2; i < length >> 1; i++) broken[at + 8 + i] = (broken[at + 8 + i] ?? 0) ^ 0x5a
    at += 12 + length
  }
  return broken
}

/** `raylog doctor` on machines that lack something: each of its lines, and what it says to do. */
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { checkNode } from '../../cli/commands/doctor.ts'
import { command } from '../harness/command.ts'
import { freePort } from '../harness/raylog.ts'

const folder = mkdtempSync(join(tmpdir(), 'raylog-doctor-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const here = (args: string[]) => command(['--data', join(folder, 'data'), ...args], { cwd: folder })

describe('the doctor', { timeout: 120_000 }, () => {
  it('takes the Node that Raylog brings and newer ones, and says of an older one how to get it', () => {
    expect(checkNode('24.0.0')).toEqual({ verdict: 'ok', what: 'node', detail: 'v24.0.0' })
    expect(checkNode('100.1.2').verdict).toBe('ok')
    const detail = 'v20.19.0 is too old; start through npm ("npm run raylog -- doctor"), which brings Node 24'
    expect(checkNode('20.19.0')).toEqual({ verdict: 'wrong', what: 'node', detail })
    expect(checkNode('9.11.2').verdict).toBe('wrong')
  })

  it('says what of a model folder does not fit its graph, and its schema', async () => {
    const digits = resolve(import.meta.dirname, '../../models/digits')
    const models = join(folder, 'models')
    cpSync(digits, join(models, 'renamed'), { recursive: true })
    const manifest = JSON.parse(readFileSync(join(digits, 'model.json'), 'utf8'))
    manifest.name = 'renamed'
    manifest.input.name = 'nosuch'
    writeFileSync(join(models, 'renamed', 'model.json'), JSON.stringify(manifest))
    const graph = await here(['--set', `models.folders=[${models}]`, 'doctor'])
    expect(graph.stdout).toMatch(/WRONG +model renamed@1 .*model\.json: input\.name is nosuch; the graph takes image/)
    expect(graph.stdout).toMatch(/ok +model digits@1/)
    expect(graph.code).toBe(1)
    writeFileSync(join(models, 'renamed', 'model.json'), '{"name": "renamed"}')
    const schema = await here(['--set', `models.folders=[${models}]`, 'doctor'])
    expect(schema.stdout).toMatch(
      /WRONG +model folder .*model\.json: version: .*; title: .*; weights: .*CONTRIBUTING\.md/,
    )
    expect(schema.code).toBe(1)
  })

  it('says what it finds, and what to do about each', async () => {
    const fine = await here([
      '--set',
      `http.port=${await freePort()}`,
      '--set',
      `dimse.port=${await freePort()}`,
      'doctor',
    ])
    expect(fine.stdout).toMatch(/^ *ok +data folder +\S+\/data: writable, \d+\.\d GB free$/m)
    expect(fine.stdout).toMatch(/^ *ok +page port +\d+ is free$/m)
    expect(fine.stdout).toMatch(/^ *ok +DICOM port +\d+ is free$/m)
    expect(fine.stdout).toMatch(/^ *ok +ONNX Runtime +cpu asked for; here: .*\bcpu\b/m)
    expect(fine.code).toBe(0)

    const others = [createServer(), createServer()]
    const ports = await Promise.all(others.map(portOf))
    writeFileSync(join(folder, 'in-the-way'), '')
    // No build of ONNX Runtime for this system has every provider; which it has is said by it.
    const set = [`http.port=${ports[0]}`, `dimse.port=${ports[1]}`, 'models.providers=[cuda, webgpu, cpu]']
    const ill = await here(['--data', join(folder, 'in-the-way/data'), ...set.flatMap(one => ['--set', one]), 'doctor'])
    for (const other of others) other.close()
    expect(ill.stdout).toMatch(/^ *WRONG +data folder +\S+in-the-way\/data: .*ENOTDIR.*; choose another with --data$/m)
    expect(ill.stdout).toMatch(/^ *note +page port +\d+ is in use; the next free one will be taken$/m)
    expect(ill.stdout).toMatch(/^ *note +DICOM port +\d+ is in use; the next free one will be taken$/m)
    expect(ill.stdout).toMatch(
      /^ *note +ONNX Runtime +cuda, webgpu, cpu asked for; here: .*; without (cuda|webgpu).* the next in order is used \(README, "GPU"\)$/m,
    )
    expect(ill.stdout).toContain('1 to mend.')
    expect(ill.code).toBe(1)
  })
})

/** Where it listens now. */
async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}

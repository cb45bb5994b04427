import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSecrets } from './file-secrets.ts'
import type { Secrets } from './secrets.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-secrets-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('the secret files', () => {
  it('are made at first start, for their user alone, and stay the same', async () => {
    const first = await openSecrets(folder)
    const again = await openSecrets(folder)
    expect((await readdir(folder)).sort()).toEqual(['secrets.key', 'token'])
    for (const name of ['secrets.key', 'token']) expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600)
    expect(await readFile(join(folder, 'secrets.key'))).toHaveLength(64)
    expect(again.token).toBe(first.token)
    expect(first.token).toMatch(/^[\w-]{43}$/)
    expect(again.open(first.seal('Canary', 'pt_1'), 'pt_1')).toBe('Canary')
  })

  it('are the same for all that open them first at once, in one thread or several', async () => {
    const module = JSON.stringify(new URL('./file-secrets.ts', import.meta.url).href)
    const source = `import(${module}).then(async ({ openSecrets }) => {
      const secrets = await openSecrets(${JSON.stringify(folder)})
      require('node:worker_threads').parentPort.postMessage(secrets.token + secrets.pseudonym('main', { patientId: '1', issuer: null }))
    })`
    const threads = Array.from(
      { length: 3 },
      () =>
        new Promise<string>((resolve, reject) => {
          new Worker(source, { eval: true }).once('message', resolve).once('error', reject)
        }),
    )
    const here = Array.from({ length: 10 }, async () => {
      const secrets = await openSecrets(folder)
      return secrets.token + secrets.pseudonym('main', { patientId: '1', issuer: null })
    })
    expect(new Set(await Promise.all([...threads, ...here])).size).toBe(1)
    expect((await readdir(folder)).sort(), 'no drafts are left').toEqual(['secrets.key', 'token'])
  })

  it.each([0, 63, 65])('are refused with a key of %i bytes, saying what to do, and never replaced', async length => {
    await writeFile(join(folder, 'secrets.key'), Buffer.alloc(length), { mode: 0o600 })
    await expect(openSecrets(folder)).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringMatching(/restore it from a backup/),
    })
    expect(await readFile(join(folder, 'secrets.key'))).toHaveLength(length)
  })

  it.each(['secrets.key', 'token'])('are refused while others may read %s', async name => {
    await openSecrets(folder)
    await chmod(join(folder, name), 0o640)
    await expect(openSecrets(folder)).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringMatching(/mode 640.*chmod 600/),
    })
  })

  it('are refused with a token that is too short to be one', async () => {
    await writeFile(join(folder, 'token'), 'secret\n', { mode: 0o600 })
    await expect(openSecrets(folder)).rejects.toMatchObject({ code: 'config-invalid' })
  })

  it('give way to a token from the settings, which is not written', async () => {
    const secrets = await openSecrets(folder, { token: 'from-the-settings-1' })
    expect(secrets.token).toBe('from-the-settings-1')
    expect(await readdir(folder)).toEqual(['secrets.key'])
    expect((await openSecrets(folder, { token: null })).token).toMatch(/^[\w-]{43}$/)
  })

  it('are an outage to wait out where the folder cannot be made', async () => {
    await writeFile(join(folder, 'file'), '')
    await expect(openSecrets(join(folder, 'file', 'inside'))).rejects.toMatchObject({ code: 'store-unavailable' })
  })
})

describe('a pseudonym', () => {
  let secrets: Secrets
  beforeEach(async () => {
    secrets = await openSecrets(folder)
  })
  const of = (site: string, issuer: string | null, patientId: string | null) =>
    secrets.pseudonym(site, { issuer, patientId })

  it('is short, safe in a URL, and says nothing', () => {
    expect(of('main', 'HOSP', '12345')).toMatch(/^pt_[\w-]{22}$/)
  })

  it('is what it always was of that key: whoever updates keeps their patients', async () => {
    const before = await mkdtemp(join(tmpdir(), 'raylog-secrets-'))
    const key = Uint8Array.from({ length: 64 }, (_, at) => at)
    await writeFile(join(before, 'secrets.key'), key, { mode: 0o600 })
    const kept = await openSecrets(before)
    expect(kept.pseudonym('main', { issuer: 'HOSP', patientId: '12345' })).toBe('pt_92yxBdnKMH-yHcfK7xaTIw')
    expect(kept.digest('name', 'Größe')).toBe('name_F61egBIswVMf3105ytagew')
    await rm(before, { recursive: true })
  })

  it('is the same for the same patient, spaces around the id or not', () => {
    expect(of('main', 'HOSP', '12345 ')).toBe(of('main', ' HOSP', '12345'))
    expect(of('main', null, '12345')).toBe(of('main', '', '12345'))
  })

  it('differs by site, issuer and id, wherever the border between them is', () => {
    const all = [
      of('main', 'HOSP', '12345'),
      of('other', 'HOSP', '12345'),
      of('main', 'CLINIC', '12345'),
      of('main', 'HOSP', '12346'),
      of('main', null, '12345'),
      of('mainH', 'OSP', '12345'),
      of('main', 'HOSP1', '2345'),
      of('main', 'HOSP5:1', '2345'),
    ]
    expect(new Set(all).size).toBe(all.length)
  })

  it('differs between two installations', async () => {
    const other = await mkdtemp(join(tmpdir(), 'raylog-secrets-'))
    const theirs = await openSecrets(other)
    expect(theirs.pseudonym('main', { issuer: null, patientId: '1' })).not.toBe(of('main', null, '1'))
    await rm(other, { recursive: true })
  })

  it('is null where there is no id', () => {
    expect([of('main', 'HOSP', null), of('main', 'HOSP', ''), of('main', 'HOSP', '  ')]).toEqual([null, null, null])
  })
})

describe('a sealed text', () => {
  let secrets: Secrets
  beforeEach(async () => {
    secrets = await openSecrets(folder)
  })

  it('opens again, with any script in it, and is never sealed twice alike', () => {
    const plain = 'Yamada^Tarou=山田^太郎=やまだ^たろう'
    const sealed = secrets.seal(plain, 'pt_1')
    expect(secrets.open(sealed, 'pt_1')).toBe(plain)
    expect(secrets.seal(plain, 'pt_1')).not.toBe(sealed)
    expect(Buffer.from(sealed, 'base64').includes('Yamada')).toBe(false)
    expect(secrets.open(secrets.seal('', 'pt_1'), 'pt_1')).toBe('')
  })

  it('does not open for another record, with another key, or when any bit of it has changed', async () => {
    const sealed = secrets.seal('Canary', 'pt_1')
    const damaged = { code: 'object-damaged' }
    expect(() => secrets.open(sealed, 'pt_2')).toThrow(expect.objectContaining(damaged))
    const bytes = Buffer.from(sealed, 'base64')
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(() => secrets.open(changed.toString('base64'), 'pt_1')).toThrow(expect.objectContaining(damaged))
    }
    for (const rubbish of ['', 'AQ==', 'not base64 at all', sealed.slice(0, 30)])
      expect(() => secrets.open(rubbish, 'pt_1')).toThrow(expect.objectContaining(damaged))
    const other = await mkdtemp(join(tmpdir(), 'raylog-secrets-'))
    const theirs = await openSecrets(other)
    expect(() => theirs.open(sealed, 'pt_1')).toThrow(expect.objectContaining(damaged))
    await rm(other, { recursive: true })
  })
})

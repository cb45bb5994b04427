import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { readSettings } from './settings.ts'

const folder = mkdtempSync(join(tmpdir(), 'raylog-settings-'))
const file = join(folder, 'raylog.yaml')
afterEach(() => rmSync(file, { force: true }))

describe('settings', () => {
  it('come from the file, then the environment, then flags, the later one winning', () => {
    writeFileSync(file, 'site: from-file\nhttp:\n  port: 1\n  host: 127.0.0.1\n')
    const settings = readSettings({
      file,
      env: { RAYLOG_HTTP__PORT: '2', RAYLOG_HTTP__MAX_UPLOAD_BYTES: '5', PATH: 'x' },
      set: ['http.port=3', 'notify.webhooks=[{url: "http://localhost"}]'],
    })
    expect(settings).toEqual({
      site: 'from-file',
      http: { port: 3, host: '127.0.0.1', maxUploadBytes: 5 },
      notify: { webhooks: [{ url: 'http://localhost' }] },
    })
  })

  it('say which file is missing or is not YAML', () => {
    expect(() => readSettings({ file, env: {}, set: [] })).toThrow(/raylog.yaml: there is no such file/)
    writeFileSync(file, 'a: [1')
    expect(() => readSettings({ file, env: {}, set: [] })).toThrow(/not YAML/)
  })

  it('refuse a flag that is not path=value', () => {
    expect(() => readSettings({ file: null, env: {}, set: ['http.port'] })).toThrow(/path=value/)
  })
})

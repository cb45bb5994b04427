/** Names in every character set, from the sender's bytes through the sealed documents to what a person reads. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { sharedPath } from '../shared.ts'
import { browserPath, launch } from './browser.ts'

const folder = join(import.meta.dirname, '../../models/fixtures/imaging')
const names = z.record(z.string(), z.string()).parse(JSON.parse(readFileSync(join(folder, 'names.json'), 'utf8')))
const files = Object.entries(names).map(([file, name]) => ({ file, path: join(folder, file), name }))

/** The fixtures are all of one patient, whose name is kept as it came first: here each is another's. */
function own(bytes: Buffer, index: number): Buffer {
  const at = bytes.indexOf('CANARY-1')
  if (at >= 0) bytes.write(String.fromCharCode(0x41 + index), at + 7, 'latin1')
  return bytes
}

/** As pydicom reads them. */
const real = {
  'charset__chrArab.dcm': 'قباني^لنزار',
  'charset__chrH31.dcm': 'Yamada^Tarou=山田^太郎=やまだ^たろう',
  'charset__chrKoreanMulti.dcm': '김희중',
  'charset__chrX2.dcm': 'Wang^XiaoDong=王^小东=',
}
const found = Object.entries(real).flatMap(([file, name]) => {
  const path = sharedPath('data', 'dicom', file)
  return path === undefined ? [] : [{ file, path, name }]
})

describe.skipIf(!browserPath)(
  `names on the page (${browserPath ? 'in a browser' : 'skipped: no chromium is installed'})`,
  () => {
    let raylog: Raylog
    let browser: Browser
    let page: Page

    beforeAll(async () => {
      raylog = await startRaylog({ set: ['privacy.showNames=true'] })
      browser = await launch()
      page = await browser.newPage()
      page.setDefaultTimeout(60_000)
      await page.goto(`${raylog.url}/?token=${raylog.token}`)
    }, 120_000)
    afterAll(async () => {
      await browser?.close()
      await raylog?.[Symbol.asyncDispose]()
    })

    it('are shown as they are written, whatever their character set', async () => {
      for (const [index, { file, path, name }] of [...files, ...found].entries()) {
        const form = new FormData()
        form.set('file', new Blob([new Uint8Array(own(readFileSync(path), index))]), file)
        const answer = await raylog.post('/api/v1/instances', form)
        const [, id] = /"id":"([^"]+)"/.exec(await answer.text()) ?? []
        expect(id, file).toBeDefined()
        const letters = name.normalize('NFC')
        const known = async () => {
          const document = await raylog.get(`/api/v1/instances/${id}`)
          return (await document.text()).normalize('NFC')
        }
        await expect.poll(known, { message: file }).toContain(JSON.stringify(letters).slice(1, -1))
        await page.goto(`${raylog.url}/instances/${id}`)
        const read = async () => (await page.locator('body').innerText()).normalize('NFC')
        await expect.poll(read, { message: file }).toContain(letters)
      }
    })
  },
)

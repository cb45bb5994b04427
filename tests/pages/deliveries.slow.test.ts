/** Where reports went, as a person sees it: a real Raylog, a real browser; a folder that takes them, and a bucket that is away. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { uploadChests, uploadDigits } from '../harness/senders.ts'
import { until } from '../harness/until.ts'
import { browserPath, type OpenPage, openPage, out, overflow, unnamed } from './browser.ts'

describe.skipIf(!browserPath)(
  `the deliveries (${browserPath ? 'in a browser' : 'skipped: no chromium is installed'})`,
  () => {
    let folder: string
    let raylog: Raylog
    let opened: OpenPage
    let page: Page

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'raylog-share-'))
      const rules = [{ formats: ['pdf'] }]
      const destinations = [
        { name: 'share', kind: 'folder', path: folder, rules },
        {
          ...{ name: 'archive', kind: 's3', endpoint: 'http://127.0.0.1:1', bucket: 'reports', rules },
          ...{ accessKey: 'someone', secretKey: 'hidden', restAfter: 1, backoffMs: 100, timeoutMs: 500 },
        },
      ]
      raylog = await startRaylog({
        set: ['logLevel=warn', 'report.formats=[]', `deliver.destinations=${JSON.stringify(destinations)}`],
      })
      await uploadDigits(raylog, [1])
      await uploadChests(raylog, [2, 3], { study: 4 })
      opened = await openPage()
      page = opened.page
    })
    afterAll(async () => {
      await opened?.[Symbol.asyncDispose]()
      await raylog?.[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    })

    it('are shown by destination: how many wait, and since when it does not answer', async () => {
      await page.goto(`${raylog.url}/deliveries?token=${raylog.token}`)
      const queue = (name: string) => page.locator('.queue').filter({ hasText: name })
      await queue('archive').getByText('3 waiting').waitFor()
      await queue('archive')
        .getByText(/Does not answer (as of a moment ago|for \d+ s)/)
        .waitFor()
      await queue('share').getByText('0 waiting').waitFor()
      for (const width of [390, 1280]) {
        await page.setViewportSize({ width, height: 844 })
        expect(await overflow(page)).toBe(0)
        await page.screenshot({ path: join(out, `deliveries-${width}.png`) })
      }
      expect(await unnamed(page)).toEqual([])
      // Each names its study, as the worklist does, and leads to it.
      const { items } = await raylog.json<{ items: { id: string }[] }>('/api/v1/worklist?state=all')
      const link = page
        .locator('.delivery-lines')
        .getByRole('link', { name: /· main/ })
        .first()
      await link.click()
      await page.waitForURL(url => items.some(({ id }) => url.pathname === `/worklist/${id}`))
    })

    it('stand with their study, and are sent again from there', async () => {
      const { items } = await raylog.json<{ items: { study: string; instance: string; receipt: string }[] }>(
        '/api/v1/deliveries?destination=share',
      )
      const delivery = items.find(one => items.some(other => other !== one && other.study === one.study))
      if (!delivery) throw new Error('nothing was delivered of the study of two images')
      const path = join(folder, delivery.receipt)
      await rm(path)
      await page.goto(`${raylog.url}/worklist/${delivery.study}`)
      const block = page.getByRole('region', { name: 'Sent to' })
      // The two pages have the names that they have in the list of reports, and each is sent by its own.
      const nameOf = (image: number) => `PDF page of one image (image ${image}, pneumonia@1)`
      await page.getByText('2 pages of single images').click()
      for (const name of [1, 2].map(nameOf)) {
        await page.getByRole('link', { name, exact: true }).waitFor()
        await block.getByText(`${name} to share: sent`).waitFor()
      }
      await page.screenshot({ path: join(out, 'study-deliveries.png') })
      const { instances } = await raylog.json<{ instances: { id: string; receivedAt: number }[] }>(
        `/api/v1/studies/${delivery.study}`,
      )
      const inOrder = instances.toSorted((a, b) => a.receivedAt - b.receivedAt)
      const image = inOrder.findIndex(({ id }) => id === delivery.instance) + 1
      await block.getByRole('button', { name: `Send again: ${nameOf(image)} to share` }).click()
      await until('it is there again', () => existsSync(path))
      await block.getByText(`${nameOf(image)} to share: sent`).waitFor()
      expect(await unnamed(page)).toEqual([])
      expect(opened.complaints.list).toEqual([])
    })
  },
)

/** Where reports went, as a person sees it: a real Raylog, a real browser; a folder that takes them, and a bucket that is away. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import type { Receiver } from '../harness/receiver.ts'
import { sendRevised, startEhr, toEhr } from '../harness/revised.ts'
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
        { name: 'ward', kind: 'folder', path: join(folder, 'ward'), rules: [{ sites: ['elsewhere'] }] },
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
        .getByText(/Does not answer (as of a moment ago|for \d+ (s|min))/)
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
      const items = await delivered()
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
    })

    interface Delivered {
      id: string
      study: string
      instance: string
      report: string
      destination: string
      receipt: string
      state: string
      resends: number
    }
    const deliveries = async (destination: string) =>
      (await raylog.json<{ items: Delivered[] }>(`/api/v1/deliveries?destination=${destination}`)).items
    /** All of them, none on its way. */
    const delivered = () =>
      until('all are sent', async () => {
        const items = await deliveries('share')
        return items.length === 3 && items.every(({ state }) => state === 'sent') ? items : undefined
      })
    const form = () => page.getByRole('region', { name: 'Send again' })
    const howMany = () => form().getByRole('status', { name: 'How many' })
    /** One that is being tried at this very moment is on its way, and not counted: then all are counted once more. */
    const countedWith = (words: string, countAgain: () => Promise<unknown>) =>
      until(`${words} is counted`, async () => {
        await countAgain()
        return howMany()
          .getByText(words)
          .waitFor({ timeout: 3_000 })
          .then(
            () => true,
            () => false,
          )
      })

    it('are sent again for a study, when the number that was shown is confirmed', async () => {
      const before = await delivered()
      const { study } = before.find(one => before.some(other => other !== one && other.study === one.study)) ?? {}
      const mine = before.filter(one => one.study === study)
      await page.goto(`${raylog.url}/worklist/${study}`)
      await page.getByRole('link', { name: 'Send all of it again' }).click()
      await countedWith('2 to archive', () => page.reload())
      expect(await howMany().textContent()).toContain('2 to share')
      await form().getByLabel('share').check()
      await howMany()
        .getByText(/^2 to share$/)
        .waitFor()
      await form()
        .getByText(/DX · main .*, first image/)
        .waitFor()
      for (const { receipt } of mine) await rm(join(folder, receipt))
      await form().getByRole('button', { name: 'Send 2 reports again…' }).click()
      const question = page.getByRole('dialog', { name: 'Send 2 reports again?' })
      await question.getByText('2 to share').waitFor()
      await question.getByRole('button', { name: 'Cancel' }).click()
      // It is counted once more as the question opens: until that is known nothing can be confirmed.
      const counts = Promise.withResolvers<void>()
      await page.route('**/api/v1/reports/resend', route => counts.promise.then(() => route.continue()))
      await form().getByRole('button', { name: 'Send 2 reports again…' }).click()
      const yes = question.getByRole('button', { name: 'Send 2 again' })
      await question.getByText('2 to share').waitFor()
      await until('nothing can be confirmed', () => yes.isDisabled())
      counts.resolve()
      await until('it can be confirmed', () => yes.isEnabled())
      await page.unroute('**/api/v1/reports/resend')
      await page.screenshot({ path: join(out, 'resend-question.png') })
      expect(await unnamed(page)).toEqual([])
      await question.getByRole('button', { name: 'Cancel' }).click()
      await question.waitFor({ state: 'hidden' })
      expect(await deliveries('share')).toEqual(before)
      await form().getByRole('button', { name: 'Send 2 reports again…' }).click()
      await question.getByRole('button', { name: 'Send 2 again' }).click()
      await howMany().getByText('2 reports will be sent again: 2 to share.').waitFor()
      await until('they are there again', () => mine.every(({ receipt }) => existsSync(join(folder, receipt))))
      const resends = (items: Delivered[]) => Object.fromEntries(items.map(one => [one.id, one.resends]))
      const expected = before.map(one => ({ ...one, resends: one.resends + (one.study === study ? 1 : 0) }))
      expect(resends(await deliveries('share'))).toEqual(resends(expected))
      await until('the audit names the study', async () => {
        const { items } = await raylog.json<{ items: { object: string }[] }>('/api/v1/audit?action=export')
        return items.some(({ object }) => object === study)
      })
    })

    it('are sent again for a time, and where they never went only when that is asked for', async () => {
      await page.goto(`${raylog.url}/deliveries?again=study`)
      const field = form().getByLabel(/^Study: /)
      await field.pressSequentially('Miller')
      await form().getByText('That is no study.').waitFor()
      expect([await field.inputValue(), page.url()]).toEqual(['Miller', expect.not.stringContaining('Mill')])

      const before = await delivered()
      const made = await Promise.all(
        before.map(async ({ report }) => (await raylog.json<{ at: number }>(`/api/v1/reports/${report}`)).at),
      )
      const first = Math.min(...made)
      const within = (from: number, to: number) => made.filter(at => at >= from && at < to).length
      const address = (from: number, to: number) => {
        const range = { from: new Date(from).toISOString(), to: new Date(to).toISOString() }
        return `${raylog.url}/deliveries?${new URLSearchParams({ again: 'time', destination: 'share', ...range })}`
      }
      await page.goto(address(first, first + 1))
      const thatOne = howMany().getByText(`${within(first, first + 1)} to share`, { exact: true })
      await thatOne.waitFor()
      await page.goto(address(first - 10, first))
      await howMany().getByText('Nothing to send').waitFor()
      expect(await form().getByRole('button', { name: 'Send again…' }).isDisabled()).toBe(true)

      await page.goto(`${raylog.url}/deliveries`)
      await page.getByRole('button', { name: 'Send many again' }).click()
      await howMany().getByText('Choose a study or a time').waitFor()
      await countedWith('3 to archive', () => form().getByRole('button', { name: 'Last hour' }).click())
      await form().getByLabel('share').check()
      await howMany().getByText(`${before.length} to share`).waitFor()
      // Key by key, of which each makes a time: the year begins as 0002.
      const end = form().getByLabel('To, not included')
      await end.fill('2099-05-06T03:04:05')
      await end.click({ position: { x: 12, y: 12 } })
      await page.keyboard.type('01022126', { delay: 50 })
      expect(await end.inputValue()).toBe('2126-01-02T03:04:05')
      await howMany().getByText(`${before.length} to share`).waitFor()
      await page.waitForURL(url => new Date(url.searchParams.get('to') ?? '').getFullYear() === 2126)
      await form().getByRole('button', { name: 'Last hour' }).click()
      await until('no end is shown, since none is in force', async () => (await end.inputValue()) === '')
      await form().getByLabel('Made from').fill('2126-01-01T00:00:00')
      await howMany().getByText('Nothing to send').waitFor()
      await form().getByRole('button', { name: 'Last day' }).click()
      await form().getByLabel('share').uncheck()
      await form().getByLabel('ward').check()
      await howMany().getByText('Nothing to send').waitFor()
      await form().getByLabel('Also those that never went there').check()
      await howMany().getByText('3 to ward, for the first time').waitFor()
      for (const scheme of ['light', 'dark'] as const) {
        await page.evaluate(`localStorage.setItem('raylog.theme', '${scheme}')`)
        await page.reload()
        await howMany().getByText('3 to ward').waitFor()
        for (const width of [390, 1280]) {
          await page.setViewportSize({ width, height: 844 })
          expect(await overflow(page)).toBe(0)
          await page.screenshot({ path: join(out, `resend-${scheme}-${width}.png`) })
        }
      }
      expect(await unnamed(page)).toEqual([])
      await form().getByRole('button', { name: 'Send 3 reports again…' }).click()
      await page.getByRole('dialog').getByRole('button', { name: 'Send 3 again' }).click()
      await howMany().getByText('3 reports will be sent again: 3 to ward.').waitFor()
      const there = await until('they are there', async () => {
        const items = await deliveries('ward')
        return items.length === 3 && items.every(({ receipt }) => receipt !== null) ? items : undefined
      })
      for (const { receipt } of there) expect(existsSync(join(folder, 'ward', receipt))).toBe(true)
      expect(opened.complaints.list).toEqual([])
    })
  },
)

describe.skipIf(!browserPath)(
  `a delivery of which a newer version is there (${browserPath ? 'in a browser' : 'skipped: no chromium is installed'})`,
  () => {
    let ehr: Receiver
    let raylog: Raylog
    let opened: OpenPage

    beforeAll(async () => {
      ehr = await startEhr()
      raylog = await startRaylog({ set: ['logLevel=warn', ...toEhr(ehr)] })
      opened = await openPage()
    })
    afterAll(async () => {
      await opened?.[Symbol.asyncDispose]()
      await raylog?.[Symbol.asyncDispose]()
      await ehr?.[Symbol.asyncDispose]()
    })

    it('is not sent again where the newest alone is kept: the page says which to send instead, and sends that', async () => {
      const { page } = opened
      const [older, newer] = await sendRevised(raylog, 5)
      await page.goto(`${raylog.url}/worklist/${older.study}?token=${raylog.token}`)
      const block = page.getByRole('region', { name: 'Sent to' })
      const line = (words: RegExp) => block.getByRole('listitem').filter({ hasText: words })
      await line(/to ehr: sent/)
        .nth(1)
        .waitFor()
      const again = { name: /^Send again: / }
      await line(/ to ehr/)
        .filter({ hasNotText: 'of revision 2' })
        .getByRole('button', again)
        .click()
      const refused = block.getByRole('alert')
      await refused.getByText('A newer version took its place').waitFor()
      await refused.getByText(`Send ${newer.report} to ehr instead.`).waitFor()
      await page.screenshot({ path: join(out, 'outdated-delivery.png') })
      expect(await unnamed(page)).toEqual([])
      expect(await raylog.json(`/api/v1/deliveries/${older.id}`)).toEqual(older)
      await line(/of revision 2 to ehr/)
        .getByRole('button', again)
        .click()
      await line(/of revision 2 to ehr: sent/)
        .getByText('sent before')
        .waitFor()
      await refused.waitFor({ state: 'detached' })
      expect(ehr.received).toHaveLength(3)
    })
  },
)

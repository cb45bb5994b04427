/** The page as a person uses it: a real Raylog, a real browser. Screenshots go to tests/pages/out/. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chestDicom, digitPng } from '../../producers/simulator/phantoms.ts'
import { isIdle } from '../harness/census.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { type Receiver, startReceiver } from '../harness/receiver.ts'
import { until } from '../harness/until.ts'
import { browserPath, type OpenPage, openPage, out, overflow, unnamed } from './browser.ts'
import { stripTests } from './strip.ts'
import { drop, eachWayTests, penAt, send } from './ways.ts'

const sizes = { 390: 844, 1280: 800, 1920: 1080 } as const

describe.skipIf(!browserPath)(
  `the page (${browserPath ? 'in a browser' : 'skipped: no chromium is installed'})`,
  () => {
    let raylog: Raylog
    let receiver: Receiver
    /** Holds back what the receiver answers. */
    let held: Promise<void> | undefined
    let opened: OpenPage
    let page: Page
    const row = (id: string) => page.locator(`article[aria-labelledby="row-${id}"]`)
    const shown = (path: string) => page.goto(raylog.url + path)

    beforeAll(async () => {
      receiver = await startReceiver(async () => {
        await held
        return { status: 204 }
      })
      raylog = await startRaylog({
        set: [`notify.webhooks=[{url: "${receiver.url}", secret: "a-secret-of-the-test"}]`, 'watch.retryMs=200'],
      })
      opened = await openPage()
      page = opened.page
    })
    afterAll(async () => {
      await opened?.[Symbol.asyncDispose]()
      await raylog?.[Symbol.asyncDispose]()
      await receiver?.[Symbol.asyncDispose]()
    })

    it('asks for the token when it is opened without', async () => {
      opened.complaints.pause()
      await shown('/')
      await page.getByText('it holds the token').first().waitFor()
      await page.goto('about:blank')
      opened.complaints.resume()
    })

    it('says how to send the first image, with the port filled in', async () => {
      await shown(`/?token=${raylog.token}`)
      await page.getByText(`storescu -aec RAYLOG 127.0.0.1 ${raylog.dicomPort} image.dcm`).waitFor()
      await page.getByText(`${raylog.inbox}`).waitFor()
      await page.getByText('Research use only').first().waitFor()
      expect(page.url()).not.toContain('token')
      expect(await unnamed(page)).toEqual([])
      await page.screenshot({ path: join(out, 'empty.png') })
    })

    it('shows what arrives live, with its label and score, without a reload', async () => {
      await page.evaluate('window.notReloaded = true')
      const chest = await send(raylog, 'chest.dcm', chestDicom(3))
      const digit = await send(raylog, 'digit.png', await digitPng(5, 4), { model: 'digits' })
      const plain = await send(raylog, 'plain.png', await digitPng(6, 1))
      await row(chest)
        .getByText(/^(Normal|Pneumonia)$/)
        .waitFor()
      expect(await row(chest).locator('.bar').getAttribute('aria-label')).toMatch(/: [<>\d.]+, threshold 0\.\d+/)
      expect(await row(chest).locator('.took').textContent()).toMatch(/ (ms|s)$/)
      await row(digit).getByText('digits@').waitFor()
      expect(await row(digit).locator('.label').textContent()).toBe('4')
      await row(plain).getByText('No model took it').waitFor()
      await row(plain).getByText('pneumonia:').waitFor()
      await row(chest).locator('.thumb img.shown').waitFor()
      expect(await page.evaluate('window.notReloaded')).toBe(true)
    })

    it('is used by keyboard alone: j, k, Enter, Escape, /, ?', async () => {
      await page.keyboard.press('j')
      await page.keyboard.press('j')
      await page.locator('.row.current[aria-posinset="2"]').waitFor()
      await page.keyboard.press('k')
      await page.locator('.row.current[aria-posinset="1"]').waitFor()
      await page.keyboard.press('Enter')
      await page.getByRole('complementary', { name: 'Image and findings' }).waitFor()
      expect(page.url()).toMatch(/\/instances\/in_/)
      await page.keyboard.press('Escape')
      await page.getByRole('complementary').waitFor({ state: 'detached' })
      await page.keyboard.press('/')
      await page.keyboard.type('model:digits')
      await page.keyboard.press('Enter')
      await page.getByRole('button', { name: 'Remove the filter model digits' }).waitFor()
      expect(page.url()).toContain('model=digits')
      await expect.poll(() => page.locator('article').count()).toBe(1)
      await page.keyboard.press('Escape')
      await page.locator('article').nth(2).waitFor()
      await page.keyboard.press('?')
      await page.getByRole('dialog', { name: 'Keyboard' }).waitFor()
      await page.keyboard.press('Escape')
      await page.getByRole('dialog', { name: 'Keyboard' }).waitFor({ state: 'hidden' })
    })

    it('opens an image with its findings, reasons and report, and windows it', async () => {
      const link = page.locator('article:not(.unsaid)', { hasText: 'pneumonia@' }).locator('.open')
      await link.click()
      const panel = page.getByRole('complementary', { name: 'Image and findings' })
      await panel.getByText('from arrival to result').waitFor()
      const steps = await panel.locator('.timing li').allTextContents()
      const names = ['queue', 'fetch', 'decode', 'prepare', 'infer', 'log and rest']
      expect(steps.map(text => text.replace(/ [<\d.]+ m?s$/, ''))).toEqual(names)
      await panel.getByText('took it').first().waitFor()
      await panel.getByRole('link', { name: 'PDF page of one image' }).waitFor()
      const report = await panel.getByRole('link', { name: 'PDF page of one image' }).getAttribute('href')
      expect((await raylog.get(report ?? '')).headers.get('content-type')).toContain('application/pdf')
      await panel.locator('.picture img.shown').waitFor()
      const windowed = page.waitForResponse(answer => /preview.*center=.*width=/.test(answer.url()))
      await panel.getByLabel(/^Width/).focus()
      await page.keyboard.press('ArrowLeft')
      expect((await windowed).status()).toBe(200)
      await panel.locator('summary').click()
      await panel.getByText('AUC').first().waitFor()
      expect(await unnamed(page)).toEqual([])
      // The address alone opens the same again.
      await page.reload()
      await panel.getByText('from arrival to result').waitFor()
      await page.keyboard.press('Escape')
    })

    it('reads a digit while it is drawn', async () => {
      await page.getByRole('link', { name: 'Try it' }).click()
      await page.locator('canvas').waitFor()
      const answer = page.locator('output[aria-label="The digit"]')
      // Two strokes that no one reads as anything else, and the pen is not lifted.
      const to = await penAt(page, 0.28, 0.24)
      await to(0.7, 0.24)
      await answer.filter({ hasText: /\d/ }).waitFor()
      await to(0.44, 0.82)
      await answer.filter({ hasText: '7' }).waitFor()
      await page.mouse.up()
      await page.getByText('there and back').waitFor()
      await page.screenshot({ path: join(out, 'digit.png') })
    })

    it('sends several files, and says of each what became of it', async () => {
      opened.complaints.pause()
      await page.setInputFiles('input[type=file]', [
        { name: 'chest.dcm', mimeType: 'application/dicom', buffer: chestDicom(8) },
        { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('not an image') },
      ])
      await page
        .locator('.upload', { hasText: 'chest.dcm' })
        .getByText(/Normal|Pneumonia/)
        .waitFor()
      await page.locator('.upload', { hasText: 'notes.txt' }).getByText('not-an-image').waitFor()
      opened.complaints.resume()
      expect(await unnamed(page)).toEqual([])
    })

    it('takes what is dropped anywhere by the routing rules, and in its own place for the model that is chosen', async () => {
      const [chest, six] = [join(raylog.data, 'dropped.dcm'), join(raylog.data, 'six.png')]
      await Promise.all([writeFile(chest, chestDicom(11)), writeFile(six, await digitPng(12, 6))])
      await shown('/')
      await page.locator('.connection.live').waitFor()
      const overlay = page.getByText('Drop to send to Raylog')
      const anywhere = await drop(page, { x: 300, y: 500 }, [chest])
      await overlay.waitFor()
      await anywhere.letGo()
      await page.waitForURL('**/try')
      await overlay.waitFor({ state: 'detached' })
      await page
        .locator('.upload', { hasText: 'dropped.dcm' })
        .getByText(/Normal|Pneumonia/)
        .waitFor()

      await page.getByRole('combobox', { name: 'Model' }).selectOption('digits')
      const box = await page.getByRole('region', { name: 'Drop images here' }).boundingBox()
      if (!box) throw new Error('there is no drop zone')
      const zone = await drop(page, { x: box.x + box.width / 2, y: box.y + box.height / 2 }, [six])
      await page.locator('.drop-zone.over').waitFor()
      await zone.letGo()
      const upload = page.locator('.upload', { hasText: 'six.png' })
      await upload.getByText('digits@').waitFor()
      expect(await upload.locator('.outcome b').textContent()).toBe('6')
      // Its place alone took it, not the page around it as well.
      expect(await upload.count()).toBe(1)
      await overlay.waitFor({ state: 'detached' })
    })

    eachWayTests(() => ({ raylog, page, receiver }))

    it('holds what is read in place while it is scrolled, and offers what is new', async () => {
      for (let seed = 20; seed < 40; seed++)
        await send(raylog, `${seed}.png`, await digitPng(seed), { model: 'digits' })
      // What comes later than the page is "new".
      await until('all have their results', () => isIdle(raylog))
      await shown('/')
      await page.locator('article').nth(8).waitFor()
      await page.locator('.scroller').hover()
      await page.evaluate(
        `void (window.scrolled = new Promise(done => document.querySelector('.scroller').addEventListener('scrollend', done)))`,
      )
      await page.mouse.wheel(0, 400)
      await page.evaluate('window.scrolled.then(() => true)')
      expect(await page.evaluate<number>(`document.querySelector('.scroller').scrollTop`)).toBeGreaterThan(300)
      const first = page.locator('article[aria-posinset="8"]')
      const before = [await first.getAttribute('aria-labelledby'), await first.boundingBox()]
      const late = await send(raylog, 'late.png', await digitPng(77, 9), { model: 'digits' })
      await page.getByRole('button', { name: '1 new' }).waitFor()
      expect([await first.getAttribute('aria-labelledby'), await first.boundingBox()]).toEqual(before)
      await page.keyboard.press('n')
      await row(late).waitFor()
      await page.getByRole('button', { name: '1 new' }).waitFor({ state: 'detached' })
    })

    it('says when the server is away, and catches up when it is back', async () => {
      opened.complaints.pause()
      await raylog.stop()
      await page.getByRole('alert').getByText('Disconnected since').waitFor()
      await page.screenshot({ path: join(out, 'disconnected.png') })
      // It waits in the folder until Raylog is back, and is there before the page is.
      await writeFile(join(raylog.inbox, 'missed.dcm'), chestDicom(99))
      const count = await page.locator('article').count()
      // It is said for ten seconds.
      const said = page.getByText('Connected again').waitFor({ timeout: 240_000 })
      await Promise.all([said, raylog.restart()])
      await page
        .locator('article', { hasText: 'watch' })
        .getByText(/^(Normal|Pneumonia)$/)
        .waitFor()
      expect(count).toBeGreaterThan(0)
      opened.complaints.resume()
    })

    it('fits phones, laptops and wide screens in both themes', async () => {
      const views = { live: '/', try: '/try', parked: '/parked', models: '/models' }
      const [, open] =
        /"id":"(in_[^"]+)"/.exec(await (await raylog.get('/api/v1/instances?modality=DX&limit=1')).text()) ?? []
      for (const theme of ['dark', 'light']) {
        await page.evaluate(`localStorage.setItem('raylog.theme', '${theme}')`)
        for (const [width, height] of Object.entries(sizes)) {
          await page.setViewportSize({ width: Number(width), height })
          for (const [name, path] of Object.entries({ ...views, instance: `/instances/${open}` })) {
            await shown(path)
            await page.locator('.connection.live').waitFor()
            await page.locator('.skeleton').first().waitFor({ state: 'detached' })
            if (name === 'instance') await page.locator('.picture img.shown').waitFor()
            if (name === 'live') await page.locator('.thumb img.shown').nth(3).waitFor()
            expect(await overflow(page), `${name} at ${width}`).toBe(0)
            expect(await unnamed(page), `${name} at ${width}`).toEqual([])
            await page.screenshot({ path: join(out, `${name}-${theme}-${width}.png`) })
          }
        }
      }
    })

    stripTests(() => ({
      ...{ raylog, page, complaints: opened.complaints },
      hold(until: Promise<void>) {
        held = until
      },
    }))

    it('never complained, nor broke its content security policy', () => {
      expect(opened.complaints.list).toEqual([])
    })
  },
)

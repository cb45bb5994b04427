/**
 * Web Push from end to end: a real Raylog, its channel, the encrypted message at a push service, a real browser with its service worker.
 * Of the push service only its transport to the browser is missing: what came there is read with the keys of the subscription, and
 * given to the worker over DevTools.
 */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ids } from '../../schemas/ids.ts'
import { makeAuthority } from '../harness/certificates.ts'
import { type PushSubscriber, pushSubscriber } from '../harness/push-subscriber.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { uploadChests } from '../harness/senders.ts'
import { until } from '../harness/until.ts'
import { browserPath, launch, overflow } from './browser.ts'

/** Gives the page a subscription at our push service: headless browsers have none. It is kept as the browser keeps it. */
const subscribeAt = (subscription: PushSubscriber['subscription']) => `
  const subscribed = { toJSON: () => (${JSON.stringify(subscription)}), unsubscribe: async () => (localStorage.removeItem('test.subscribed'), true) }
  PushManager.prototype.getSubscription = async () => localStorage.getItem('test.subscribed') ? subscribed : null
  PushManager.prototype.subscribe = async options => {
    localStorage.setItem('test.subscribed', options.applicationServerKey)
    return subscribed
  }
`

interface Shown {
  title: string
  body: string
}

describe.skipIf(!browserPath)(
  `push to a browser (${browserPath ? 'in a browser' : 'skipped: no chromium is installed'})`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'raylog-push-'))
    const received: { path: string; bytes: Buffer }[] = []
    let service: Server
    let serviceUrl: string
    let raylog: Raylog
    let browser: Browser

    beforeAll(async () => {
      const authority = makeAuthority(folder)
      const made = authority.issue({ name: 'localhost' })
      service = createServer({ cert: readFileSync(made.certFile), key: readFileSync(made.keyFile) })
      service.on('request', async (request, response) => {
        const bytes = await buffer(request).catch(() => null)
        if (!bytes) return // broken off by whoever sent it
        received.push({ path: request.url ?? '', bytes })
        response.writeHead(201).end()
      })
      service.listen(0, '127.0.0.1')
      await once(service, 'listening')
      const address = service.address()
      if (typeof address !== 'object' || address === null) throw new Error('no port')
      serviceUrl = `https://127.0.0.1:${address.port}`
      const push = { kind: 'push', contact: 'mailto:it@h.example' }
      const notify = {
        channels: [
          { ...push, name: 'plain' },
          { ...push, name: 'named', names: true },
        ],
        people: [
          { name: 'martin', reach: [{ channel: 'plain' }] },
          { name: 'chief', reach: [{ channel: 'named' }] },
        ],
        rules: [{ name: 'critical', findings: [{ present: null }], to: ['martin', 'chief'], acknowledge: {} }],
      }
      const set = Object.entries(notify).map(([name, value]) => `notify.${name}=${JSON.stringify(value)}`)
      raylog = await startRaylog({
        set: ['logLevel=warn', 'privacy.showNames=true', 'assess-study.idleMs={DX: 1500}', ...set],
        env: { NODE_EXTRA_CA_CERTS: authority.caFile },
      })
      browser = await launch()
    })
    afterAll(async () => {
      await browser?.close()
      await raylog?.[Symbol.asyncDispose]()
      service?.closeAllConnections()
      service?.close()
      rmSync(folder, { recursive: true, force: true })
    })

    /** A browser of its own, with the page of notifications. */
    async function openAlerts(subscription?: PushSubscriber['subscription']): Promise<Page> {
      const context = await browser.newContext({ viewport: { width: 390, height: 844 } })
      context.setDefaultTimeout(60_000)
      if (subscription) {
        await context.grantPermissions(['notifications'], { origin: raylog.url })
        await context.addInitScript(subscribeAt(subscription))
      }
      const page = await context.newPage()
      await page.goto(`${raylog.url}/notifications?token=${raylog.token}`)
      return page
    }

    async function tell(page: Page, person: string): Promise<void> {
      await page.getByLabel('Your name in the settings').fill(person)
      await page.getByRole('button', { name: 'Tell this browser' }).click()
    }

    /** What gives a message to the page's service worker, as a push service does. */
    async function workerOf(page: Page): Promise<(data: string) => Promise<unknown>> {
      const devtools = await page.context().newCDPSession(page)
      const registrations: string[] = []
      devtools.on('ServiceWorker.workerRegistrationUpdated', ({ registrations: some }) =>
        registrations.push(...some.map(({ registrationId }) => registrationId)),
      )
      await devtools.send('ServiceWorker.enable')
      const registrationId = await until('the worker is registered', () => registrations.at(-1))
      return data => devtools.send('ServiceWorker.deliverPushMessage', { origin: raylog.url, registrationId, data })
    }

    /** Gives it a message until it is shown: on a busy machine DevTools loses one now and then, which no push service does. */
    async function show(
      page: Page,
      push: (data: string) => Promise<unknown>,
      data: string,
      isIt: (one: Shown) => boolean,
    ): Promise<Shown> {
      const find = async () => (await shown(page)).find(isIt)
      return until(`${data.slice(0, 80)} is shown`, async () => {
        await push(data)
        return until('soon', find, { deadlineMs: 5_000 }).catch(() => undefined)
      })
    }

    const shown = (page: Page) =>
      page.evaluate<Shown[]>(`navigator.serviceWorker.ready
        .then(registration => registration.getNotifications())
        .then(all => all.map(({ title, body }) => ({ title, body })))`)

    it('says so where the browser does not allow it, at once and when the page is opened again', async () => {
      const page = await openAlerts()
      await tell(page, 'martin')
      const words = page.getByRole('alert').getByText('This browser does not allow notifications of this page.')
      await words.waitFor()
      await page.getByRole('button', { name: 'Tell this browser', pressed: false }).waitFor()
      await page.reload()
      await words.waitFor()
      expect(await overflow(page)).toBe(0)
      await page.context().close()
    })

    it('reaches the browsers of each person, with the name only where the channel may carry it, and opens the study', async () => {
      const martin = pushSubscriber(`${serviceUrl}/martin`)
      const chief = pushSubscriber(`${serviceUrl}/chief`)
      const [page, other] = [await openAlerts(martin.subscription), await openAlerts(chief.subscription)]
      await tell(page, 'martin')
      await tell(other, 'chief')
      for (const one of [page, other]) await one.getByRole('button', { name: 'This browser is told' }).waitFor()
      const { publicKey } = await raylog.json<{ publicKey: string }>('/api/v1/notifications/push')
      expect(await page.evaluate(`localStorage.getItem('test.subscribed')`)).toBe(publicKey)

      await uploadChests(raylog, [1], { study: 1, size: 128 })
      const messageTo = async (path: string, { read }: PushSubscriber) => {
        const { bytes } = await until(`a message to ${path}`, () => received.find(one => one.path === path))
        for (const text of ['Phantom', 'Demo', 'neumonia', 'st_']) expect(bytes.toString('latin1')).not.toContain(text)
        return read(bytes)
      }
      const [plain, named] = [await messageTo('/martin', martin), await messageTo('/chief', chief)]
      expect(() => chief.read(received.find(({ path }) => path === '/martin')?.bytes ?? Buffer.alloc(0))).toThrow()
      const [push, pushOther] = [await workerOf(page), await workerOf(other)]
      const note = await show(page, push, plain, () => true)
      expect(note.title).toMatch(/^CRITICAL RESULT: critical: Pneumonia/)
      expect(JSON.stringify(note)).not.toMatch(/Demo|Phantom/)
      const noteOther = await show(other, pushOther, named, () => true)
      expect(noteOther.body).toContain('Demo, Phantom 00000001')

      // Once more, as push services do: in its place, not beside it.
      const repeat = JSON.stringify({ ...JSON.parse(plain), redelivered: true })
      await show(page, push, repeat, ({ body }) => body.includes('This may be a repeat.'))
      expect(await shown(page)).toHaveLength(1)
      await show(page, push, 'not ours', ({ title }) => title === 'Raylog')

      const { items } = await raylog.json<{ items: { id: string; study: string }[] }>('/api/v1/notifications')
      const [notice = expect.unreachable('none')] = items
      await page.goto(`${raylog.url}${await clicked(page, notice.id)}`)
      await page.getByRole('heading', { name: /DX CHEST/ }).waitFor()
      expect(new URL(page.url()).pathname).toBe(`/worklist/${notice.study}`)
      const alerts = page.getByRole('region', { name: 'Alerts' })
      await alerts.locator('.notice-line.current').getByText('Waits for an acknowledgement').waitFor()
      expect(await overflow(page)).toBe(0)
      await until('that it was seen is in its trail', async () => {
        const { trail } = await raylog.json<{ trail: { what: string; who: string }[] }>(
          `/api/v1/notifications/${notice.id}`,
        )
        return trail.some(({ what, who }) => what === 'seen' && who === 'martin')
      })

      // As one that an older worker has shown, which kept no study.
      await show(page, push, JSON.stringify({ notice: 'nt_older', title: 'Older' }), ({ title }) => title === 'Older')
      expect(await clicked(page, 'nt_older')).toBe('/notifications/nt_older')
    })

    /** Clicks it; where it leads. The browser opens windows for a person's own click alone: what it is asked for is kept instead. */
    async function clicked(page: Page, notice: string): Promise<string> {
      const [worker] = page.context().serviceWorkers()
      if (!worker) throw new Error('no worker')
      const urls = await worker.evaluate<string[]>(`(async () => {
        const all = await self.registration.getNotifications({ tag: '${notice}' })
        const urls = []
        self.clients.openWindow = async url => void urls.push(url)
        const event = new NotificationEvent('notificationclick', { notification: all[0] })
        Object.defineProperty(event, 'waitUntil', { value: work => work })
        self.dispatchEvent(event)
        return urls
      })()`)
      await until('it is closed', async () => (await shown(page)).every(({ title }) => title === 'Raylog'))
      return urls[0] ?? expect.unreachable('nothing was opened')
    }

    it('says that a browser is told no more when it has let go of its subscription', async () => {
      const lost = pushSubscriber(`${serviceUrl}/lost`)
      const page = await openAlerts(lost.subscription)
      await tell(page, 'martin')
      const told = page.getByRole('button', { name: 'This browser is told' })
      await told.waitFor()
      await page.reload()
      await told.waitFor()
      expect(await page.getByRole('alert').count()).toBe(0)
      await page.evaluate(`localStorage.removeItem('test.subscribed')`)
      await page.reload()
      await page.getByRole('alert').getByText('This browser is told no more').waitFor()
      await page.getByRole('button', { name: 'Tell this browser' }).click()
      await told.waitFor()
      expect(await page.getByRole('alert').count()).toBe(0)
    })

    it('takes a browser off the server that is to be told no more; one that cannot be is told still, and says so', async () => {
      const leaves = pushSubscriber(`${serviceUrl}/leaves`)
      const page = await openAlerts(leaves.subscription)
      await tell(page, 'martin')
      const told = page.getByRole('button', { name: 'This browser is told' })
      await told.waitFor()
      const path = '**/api/v1/notifications/push/*'
      await page.route(path, route => route.abort())
      await told.click()
      await page.getByRole('alert').getByText('No connection to the server.').waitFor()
      await page.reload()
      await told.waitFor()
      await page.unroute(path)
      await told.click()
      await page.getByRole('button', { name: 'Tell this browser', pressed: false }).waitFor()
      expect(await page.evaluate(`localStorage.getItem('test.subscribed')`)).toBe(null)
      // It was there once, and is gone: what is removed here is nothing.
      const id = ids.pushTarget(leaves.subscription.endpoint)
      const answer = await fetch(`${raylog.url}/api/v1/notifications/push/${id}`, {
        ...{ method: 'DELETE', headers: { authorization: `Bearer ${raylog.token}` } },
      })
      expect(await answer.json()).toEqual({ gone: false })
      await page.context().close()
    })
  },
)

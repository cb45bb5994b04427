import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { noticeTokenPurpose, writeNoticeToken } from '../schemas/notice-token.ts'
import { topics } from '../schemas/topics.ts'
import { joined, type Started, startGateway } from '../tests/gateway/kit.ts'
import { aNotice, began } from '../tests/gateway/samples.ts'
import { noticeShape } from './api/notifications.ts'

let gateway: Started
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway[Symbol.asyncDispose]())

const add = (...args: Parameters<typeof aNotice>) => gateway.documents.insert('notices', aNotice(...args))
const stored = async (n: number) => (await gateway.documents.get('notices', aNotice(n).id)) ?? expect.unreachable()
const pageShape = z.object({ items: z.array(noticeShape) })
const list = async (query: string) => pageShape.parse(await (await gateway.ask(`/api/v1/notifications${query}`)).json())
const post = (path: string, body?: object) =>
  gateway.ask(`/api/v1/notifications/${path}`, {
    method: 'POST',
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })

describe('notifications', () => {
  it('are listed with what became of them, without the pseudonym', async () => {
    await add(1)
    await add(2, { phase: 'settled', outcome: 'told', critical: false, dueAt: began })
    const all = await list('')
    expect(all.items.map(({ id }) => id)).toEqual(['nt_0001', 'nt_0002'])
    expect(all.items.map(one => one.mayAcknowledge)).toEqual([true, false])
    expect(JSON.stringify(all)).not.toContain('pt_someone')
    const open = await list('?phase=open')
    expect(open.items.map(({ id }) => id)).toEqual(['nt_0001'])
    expect(await (await gateway.ask('/api/v1/notifications/nt_0001')).json()).toMatchObject({ rule: 'critical' })
    expect((await gateway.ask('/api/v1/notifications/nt_none')).status).toBe(404)
  })

  it('are acknowledged by one person, however many try at once', async () => {
    await add(3)
    const names = ['Dr Ada', 'Dr Bo', 'Dr Cy', 'Dr Di']
    const answers = await Promise.all(names.map(by => post('nt_0003/acknowledge', { by })))
    const views = await Promise.all(answers.map(async answer => noticeShape.parse(await answer.json())))
    expect(new Set(views.map(view => view.acknowledgedBy)).size).toBe(1)
    const { acknowledgedBy, trail, phase } = await stored(3)
    expect(trail.filter(({ what }) => what === 'acknowledged')).toMatchObject([
      { who: acknowledgedBy, channel: 'page' },
    ])
    expect(phase, 'whoever notifies puts the step on the log').toBe('settling')
  })

  it('are acknowledged late too, but not where nobody asks for it', async () => {
    await add(4, { phase: 'settled', outcome: 'unanswered' })
    expect(await (await post('nt_0004/acknowledge')).json()).toMatchObject({
      outcome: 'acknowledged',
      acknowledgedBy: 'token',
    })
    await add(5, { critical: false, phase: 'settled', outcome: 'told' })
    expect((await post('nt_0005/acknowledge')).status).toBe(400)
    expect((await post('nt_none/acknowledge')).status).toBe(404)
    expect((await post('nt_0005/acknowledge', { by: '<b>' })).status).toBe(400)
    const url = new URL('/api/v1/notifications/nt_0005/acknowledge', gateway.url)
    expect((await fetch(url, { method: 'POST' })).status).toBe(401)
  })

  it('are seen once by each', async () => {
    await add(6)
    for (const by of ['Ada', 'Ada', 'Bo']) await post('nt_0006/seen', { by })
    const { trail, phase } = await stored(6)
    expect(trail.map(({ what, who }) => `${what} ${who}`)).toEqual(['sent martin', 'seen Ada', 'seen Bo'])
    expect(phase).toBe('awaiting')
  })

  it('are pushed live to those in the room of the person', async () => {
    const socket = gateway.connect()
    await joined(socket, { rooms: ['person:martin'] })
    const heard: unknown[] = []
    socket.on('notification', ({ event }) => heard.push(event.id))
    const step = {
      ...{ notification: 'nt_1', study: 'st_1', site: 'main', rule: 'r', what: 'alert', channel: 'live' },
      ...{ edition: 1, critical: true, title: 'critical: pneumonia', priority: 'stat' as const, at: began },
    }
    await gateway.publish(
      topics.notifications,
      { ...step, id: 'ns_1', who: 'chief' },
      { ...step, id: 'ns_2', who: 'martin' },
    )
    await expect.poll(() => heard).toEqual(['ns_2'])
  })
})

describe('the link of a message', () => {
  const link = (n: number, over: object = {}) => {
    const key = gateway.secrets.derive(noticeTokenPurpose)
    const token = writeNoticeToken(key, { notice: aNotice(n).id, edition: 1, person: 'martin', ...over })
    return new URL(`/acknowledge/${token}`, gateway.url)
  }

  it('changes nothing when it is opened, by whatever looks through mail', async () => {
    await add(11)
    for (const method of ['GET', 'HEAD', 'GET']) {
      const answer = await fetch(link(11), { method })
      expect(answer.status).toBe(200)
      expect(answer.headers.get('cache-control')).toBe('no-store')
    }
    expect(await stored(11)).toMatchObject({ version: 1, phase: 'awaiting' })
    const page = await (await fetch(link(11))).text()
    expect(page).toContain('<form method="post">')
    expect(page).toContain('You acknowledge it as martin')
    expect(page).toContain('<h1>A critical result</h1>')
    expect(page, 'what was found, which the channel may not have said').not.toContain('pneumonia')
  })

  it('acknowledges by its button, in the name of who got it, and is used up then', async () => {
    await add(12)
    const press = () =>
      fetch(link(12), {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', origin: gateway.url },
        body: '',
      })
    const answer = await press()
    expect(answer.status).toBe(200)
    expect(await answer.text()).toContain('Acknowledged')
    const after = await stored(12)
    expect(after).toMatchObject({ outcome: 'acknowledged', acknowledgedBy: 'martin', phase: 'settling' })
    expect(after.trail.at(-1)).toMatchObject({ what: 'acknowledged', channel: 'link' })
    await press()
    expect(await stored(12)).toEqual(after)
    expect(await (await fetch(link(12))).text()).not.toContain('<form')
  })

  it('of what has changed since is of no use', async () => {
    await add(13, { edition: 2 })
    const answer = await fetch(link(13), { method: 'POST' })
    expect(await answer.text()).toContain('It has changed')
    expect(await stored(13)).toMatchObject({ phase: 'awaiting', version: 1 })
  })

  it('that we did not write is told nothing', async () => {
    await add(14)
    const real = link(14).href
    for (const url of [
      real.slice(0, -1),
      real.replace('martin', 'chief'),
      new URL('/acknowledge/x', gateway.url).href,
    ]) {
      for (const method of ['GET', 'POST']) {
        const answer = await fetch(url, { method })
        expect(answer.status).toBe(404)
        expect(await answer.text()).not.toContain('pneumonia')
      }
    }
    expect(await stored(14)).toMatchObject({ version: 1 })
  })
})

describe('a browser', () => {
  const keys = { p256dh: 'B'.repeat(87), auth: 'a'.repeat(22) }

  it('is told by push once it has asked, sealed, and no more once it says so', async () => {
    const answer = await gateway.ask('/api/v1/notifications/push')
    const { publicKey } = z.object({ publicKey: z.string() }).parse(await answer.json())
    expect(Buffer.from(publicKey, 'base64url')).toHaveLength(65)
    const subscription = { endpoint: 'https://push.example/secret-address', keys }
    const answers = [
      await post('push', { person: 'martin', subscription }),
      await post('push', { person: 'martin', subscription }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([201, 201])
    const { items } = await gateway.documents.find('pushTargets')
    expect(items, 'asked twice it is one').toMatchObject([{ person: 'martin' }])
    expect(JSON.stringify(items)).not.toContain('secret-address')
    const id = items[0]?.id ?? ''
    expect(JSON.parse(gateway.secrets.open(items[0]?.sealed ?? '', id))).toEqual(subscription)
    const gone = async () => (await gateway.ask(`/api/v1/notifications/push/${id}`, { method: 'DELETE' })).json()
    expect([await gone(), await gone()]).toEqual([{ gone: true }, { gone: false }])
  })

  it('is one of twenty of a person at most, and may ask again when there are so many', async () => {
    const ask = async (n: number) => {
      const subscription = { endpoint: `https://push.example/${n}`, keys }
      return (await post('push', { person: 'chief', subscription })).status
    }
    for (let n = 0; n < 20; n++) expect(await ask(n)).toBe(201)
    expect([await ask(20), await ask(7)]).toEqual([400, 201])
  })

  it('whose address is not one of a push service is refused', async () => {
    const bad = { endpoint: 'http://127.0.0.1:8080/', keys }
    expect((await post('push', { person: 'martin', subscription: bad })).status).toBe(400)
  })
})

/**
 * Nobody is left untold, and nobody is told twice unmarked: the whole process is SIGKILLed at random while it tells a mail
 * server and two webhooks, which count. What comes a second time says so. KILLS, KILL_INSTANCES and KILL_SEED set how often,
 * of how many images, and when; the seed is printed.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { NoticeView } from '../../gateway/api/notifications.ts'
import { seeded } from '../../producers/simulator/random.ts'
import { isIdle, listAll } from '../harness/census.ts'
import { storeAll } from '../harness/cstore.ts'
import { startMail } from '../harness/mail.ts'
import { startRaylog } from '../harness/raylog.ts'
import { smallRadiograph } from '../harness/senders.ts'
import { until } from '../harness/until.ts'

const kills = Number(process.env.KILLS ?? 20)
const images = Number(process.env.KILL_INSTANCES ?? kills * 10)
const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000)

interface Copy {
  id: string
  redelivered: boolean
}

/** Slow enough that a kill meets something on its way. */
const answerMs = 30

async function startHook() {
  const copies: Copy[] = []
  const server = createServer(async (request, response) => {
    await request.resume().once('end', () => undefined)
    const { 'webhook-id': id, 'raylog-redelivered': again } = request.headers
    copies.push({ id: String(id), redelivered: again === 'true' })
    setTimeout(() => response.end(), answerMs)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return { copies, url: `http://127.0.0.1:${port}/`, close: () => server.closeAllConnections() ?? server.close() }
}

/** Each of them once, or again and marked. @returns how many came again */
function repeatsOf(copies: readonly Copy[], expected: number): number {
  const all = Map.groupBy(copies, ({ id }) => id)
  expect(all.size).toBe(expected)
  for (const [id, [, ...again]] of all)
    for (const copy of again) expect(copy.redelivered, `${id} came again without saying so`).toBe(true)
  return copies.length - all.size
}

describe('a Raylog that is killed at random', () => {
  it(`tells a mail server and webhooks of each result, over ${kills} kills and ${images} images`, async () => {
    const next = seeded(seed)
    await using mail = await startMail()
    const [byRule, each] = [await startHook(), await startHook()]
    const secret = 'a-secret-of-sixteen-characters'
    const channels = [
      { name: 'mail', kind: 'email', host: '127.0.0.1', port: mail.port, security: 'none', from: 'r@h.example' },
      { name: 'hook', kind: 'webhook', url: byRule.url, secret },
    ]
    const reach = [{ channel: 'mail', address: 'a@h.example' }, { channel: 'hook' }]
    const notify = {
      channels,
      people: [{ name: 'all', reach, mostPerHour: null }],
      rules: [{ name: 'each', on: 'prediction', per: 'event', findings: [{ present: null }], to: ['all'] }],
      webhooks: [{ url: each.url, secret }],
      ...{ leaseMs: 2_000, lookMs: 100 },
    }
    const settings = Object.entries(notify).map(([name, value]) => `notify.${name}=${JSON.stringify(value)}`)
    await using raylog = await startRaylog({
      set: ['logLevel=warn', ...settings],
      args: ['--stages', 'dimse,infer,persist,notify,gateway'],
    })
    let killing = true
    const sending = (async () => {
      for (let at = 0; at < images; at += 4) {
        await wait(killing ? 200 + next() * 400 : 0)
        await storeAll(
          raylog.dicomPort,
          Array.from({ length: Math.min(4, images - at) }, (_, n) => smallRadiograph(at + n)),
        )
      }
    })()
    let killed = 0
    while (killed < kills) {
      await wait(300 + next() * 1_500)
      await raylog.kill()
      killed++
      await raylog.restart()
    }
    killing = false
    await sending
    await until('every stage is idle', () => isIdle(raylog, ['infer', 'persist', 'notify']), {
      deadlineMs: 240_000,
      everyMs: 250,
    })
    const predictions = await listAll<{ id: string }>(raylog, 'predictions')
    const notices = await until(
      'all are told',
      async () => {
        const all = await listAll<NoticeView>(raylog, 'notifications')
        return all.length >= predictions.length && all.every(({ phase }) => phase === 'settled') ? all : undefined
      },
      { deadlineMs: 120_000, everyMs: 250 },
    )
    expect(predictions).toHaveLength(images)
    expect(notices.map(({ outcome }) => outcome)).toEqual(predictions.map(() => 'told'))
    const mails = mail.mails.map(one => ({
      id: one.header('X-Raylog-Notification') ?? '',
      redelivered: one.header('X-Raylog-Redelivered') === 'true' && one.raw.includes('This may be a repeat'),
    }))
    const repeated = {
      mails: repeatsOf(mails, images),
      byRule: repeatsOf(byRule.copies, images),
      webhooks: repeatsOf(each.copies, images),
    }
    console.log({ seed, killed, images, repeated })
    byRule.close()
    each.close()
  })
})

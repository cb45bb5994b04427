import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'
import { aPrediction } from '../../tests/gateway/samples.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { openForTest } from '../../tests/harness/stage.ts'
import { bareHttp, type Stores } from '../../tests/harness/stores.ts'
import { until } from '../../tests/harness/until.ts'
import { lookMs, quickClock, secret, webhookTests } from '../../tests/harness/webhooks.ts'
import { sign, signingKey } from './channels/webhook.ts'
import { notify } from './stage.ts'

const kit = webhookTests()
const { closing, receiver, open, deliveries, counted } = kit

describe('a webhook', () => {
  it('is told of a prediction once, signed as Standard Webhooks says, and the delivery is kept', async () => {
    const { url, received } = await receiver()
    const clock = quickClock()
    const stage = await open([{ url, secret }], { clock, linkBase: 'https://raylog.example/' })
    const prediction = aPrediction(1, { patient: 'pt_someone' })
    await stage.hand(topics.predictions, prediction)
    await stage.hand(topics.predictions, prediction, { attempt: 2 })

    expect(received).toHaveLength(1)
    const { headers, body } = received[0] ?? expect.unreachable('nothing came')
    const id = headers['webhook-id']
    const timestamp = headers['webhook-timestamp']
    expect(timestamp).toBe(String(clock.at / 1000))
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
    const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
    expect(headers['webhook-signature']).toBe(`v1,${expected}`)
    expect(headers['content-type']).toBe('application/json')
    expect(headers['raylog-redelivered']).toBeUndefined()
    expect(JSON.parse(body)).toMatchObject({
      id,
      type: 'prediction.created',
      timestamp: new Date(prediction.predictedAt).toISOString(),
      data: {
        prediction: { id: prediction.id, label: prediction.label, score: 0.25, probabilities: { normal: 0.75 } },
        links: {
          prediction: `https://raylog.example/api/v1/predictions/${prediction.id}`,
          page: `https://raylog.example/instances/${prediction.instance}`,
        },
      },
    })
    expect(body).not.toContain('pt_someone')

    const [delivery, ...more] = await deliveries()
    expect(more).toEqual([])
    expect(delivery).toMatchObject({ id, subject: prediction.id, study: prediction.study, channel: 'webhook' })
    expect(delivery).toMatchObject({ state: 'sent', attempts: 1, code: null, finishedAt: clock.at })
    expect(JSON.stringify(delivery), 'no secret of the URL is shown').not.toContain('hidden')
    expect(await counted('sent')).toBe(1)
  })

  it('agrees with the test vector of the specification', () => {
    // From the reference libraries of github.com/standard-webhooks/standard-webhooks.
    const signature = sign(signingKey(secret), 'msg_p5jXN8AQM9LWM0D4loKWxJek', '1614265330', '{"test": 2432232314}')
    expect(signature).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
  })

  it('gets what its settings ask for and nothing else', async () => {
    const { url, received } = await receiver()
    const wants = { labels: ['pneumonia'], models: ['chest@1.0.0'], minScore: 0.5 }
    const stage = await open([{ url, secret, ...wants, includePseudonym: true, includeProbabilities: false }])
    const fits = aPrediction(1, { label: 'pneumonia', score: 0.5, patient: 'pt_someone' })
    await stage.hand(topics.predictions, fits)
    await stage.hand(topics.predictions, { ...fits, id: 'pr_a', label: 'normal' })
    await stage.hand(topics.predictions, { ...fits, id: 'pr_b', score: 0.49 })
    await stage.hand(topics.predictions, { ...fits, id: 'pr_c', model: { ...fits.model, version: '2' } })
    for (const role of ['shadow', 'canary', 'replay'] as const)
      await stage.hand(topics.predictions, { ...fits, id: `pr_${role}`, role })
    expect(received).toHaveLength(1)
    expect(JSON.parse(received[0]?.body ?? '').data.prediction).toMatchObject({ id: fits.id, patient: 'pt_someone' })
    expect(JSON.parse(received[0]?.body ?? '').data.prediction).not.toHaveProperty('probabilities')
    expect(await deliveries()).toHaveLength(1)
  })
})

describe('a delivery that was claimed by a process that was killed', () => {
  it('is sent again under the same id, and says so', async () => {
    const silent = await receiver(() => null)
    const stop = new AbortController()
    const first = await open([{ name: 'ward', url: silent.url, secret }])
    const handed = first.hand(topics.predictions, aPrediction(1), { signal: stop.signal })
    await until('the request has arrived', () => silent.received.length === 1)
    stop.abort(new Error('killed'))
    await expect(handed).rejects.toThrow('killed')
    expect(await deliveries()).toMatchObject([{ state: 'claimed' }])

    const { url, received } = await receiver()
    const second = await open([{ name: 'ward', url, secret }])
    await second.hand(topics.predictions, aPrediction(1))
    expect(received[0]?.headers['webhook-id']).toBe(silent.received[0]?.headers['webhook-id'])
    expect(received[0]?.headers['raylog-redelivered']).toBe('true')
    expect(await deliveries()).toMatchObject([{ state: 'sent' }])
    expect([await counted('redelivered'), await counted('sent')]).toEqual([1, 1])
    await second.hand(topics.predictions, aPrediction(1))
    expect(received).toHaveLength(1)
  })

  it('is not sent twice because the document store was away when it had been sent', async () => {
    const { url, received } = await receiver()
    let away = 2
    const upsert: Stores['documents']['upsert'] = (...what) =>
      away-- > 0 ? Promise.reject(new RaylogError('store-full', 'no space')) : kit.stores.documents.upsert(...what)
    const clock = quickClock()
    const stage = await openForTest(
      notify,
      { ...kit.stores, http: bareHttp(), documents: { ...kit.stores.documents, upsert } },
      { clock, settings: { webhooks: [{ url, secret }], lookMs } },
    )
    await stage.hand(topics.predictions, aPrediction(1))
    expect(received).toHaveLength(1)
    expect(clock.slept).toHaveLength(2)
    expect(await deliveries()).toMatchObject([{ state: 'sent' }])
    await stage.close()
  })
})

it('a log that is away is no refusal: what goes over it is tried again', async () => {
  const clock = new HandClock()
  let away = 3
  const said: unknown[] = []
  const settings = {
    channels: [{ name: 'page', kind: 'live' }],
    people: [{ name: 'wall', reach: [{ channel: 'page' }] }],
    rules: [{ name: 'all', on: 'prediction', to: ['wall'] }],
    ...{ deadlineMs: 3_600_000, leaseMs: 600_000 },
  }
  const stage = await openForTest(
    notify,
    { ...kit.stores, http: bareHttp() },
    {
      ...{ clock, settings },
      async publish(_, ...events) {
        if (away-- > 0) throw new RaylogError('log-unavailable', 'no broker')
        said.push(...events)
        return []
      },
    },
  )
  closing.push(() => stage.close())
  const handed = stage.hand(topics.predictions, aPrediction(1, { predictedAt: clock.now() }))
  const delivery = await until('it is over', async () => {
    clock.move(500)
    return (await deliveries()).find(({ state }) => state !== 'claimed')
  })
  await handed
  expect(delivery).toMatchObject({ state: 'sent', attempts: 4, channel: 'live' })
  expect(said).toMatchObject([{ what: 'alert', who: 'wall' }, { what: 'sent' }])
})

it('nobody is told by default', async () => {
  const stage = await open([])
  await stage.hand(topics.predictions, aPrediction(1))
  expect(await deliveries()).toEqual([])
})
